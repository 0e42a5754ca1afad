import AgentDisk
import Domain
import HostAgent
import Platform
import Testing

@Suite struct EpochLedgerTests {
    private let directory: TemporaryDirectory
    private let vm = VMID(from: SystemIDs())

    init() throws { directory = try TemporaryDirectory() }

    @Test func `epochs only rise, each number for itself, and survive a restart`() throws {
        let ledger = try DiskEpochLedger(directory: directory.path)
        #expect(try ledger.mark(of: vm) == .none)
        try ledger.raise(vm, to: EpochMark(highest: Epoch(7), closed: Epoch(3)))
        try ledger.raise(vm, to: EpochMark(highest: Epoch(5), closed: Epoch(5)))
        try ledger.raise(vm, to: .none)
        let reopened = try DiskEpochLedger(directory: directory.path)
        #expect(try reopened.mark(of: vm) == EpochMark(highest: Epoch(7), closed: Epoch(5)))
        #expect(try reopened.mark(of: VMID(from: SystemIDs())) == .none)
    }

    @Test func `the highest epoch of any VM, and how far the records had come, only rise and survive a restart`() throws
    {
        let ledger = try DiskEpochLedger(directory: directory.path)
        #expect(try ledger.highest() == .none)
        #expect(try ledger.heard() == .none)
        try ledger.raise(vm, to: EpochMark(highest: Epoch(7), closed: Epoch(3)))
        try ledger.raise(VMID(from: SystemIDs()), to: EpochMark(highest: Epoch(2), closed: Epoch(9)))
        #expect(try ledger.highest() == Epoch(9))
        for event in [5, 8, 6] { try ledger.raise(to: RecordPoint(generation: 1, event: Int64(event))) }
        for known in [ledger, try DiskEpochLedger(directory: directory.path)] {
            #expect(try known.highest() == Epoch(9))
            #expect(try known.heard() == RecordPoint(generation: 1, event: 8))
        }
        try directory.write("1x", to: "heard")
        let fault = try #require(throws: Fault.self) { try DiskEpochLedger(directory: directory.path).heard() }
        #expect(fault.message.contains("heard is damaged"))
    }

    @Test func `a damaged mark is an error that names its file, and is not overwritten`() throws {
        let ledger = try DiskEpochLedger(directory: directory.path)
        try directory.write("{\"version\":1,\"record\":{\"highest\":7", to: "\(vm).json")
        let fault = try #require(throws: Fault.self) { try ledger.mark(of: vm) }
        #expect(fault.message.contains("\(vm).json"))
        #expect(throws: Fault.self) { try ledger.raise(vm, to: EpochMark(highest: Epoch(1), closed: .none)) }
        #expect(throws: Fault.self) { try ledger.mark(of: vm) }
    }

    @Test func `concurrent raises leave the highest`() async throws {
        let ledger = try DiskEpochLedger(directory: directory.path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 1...40 {
                group.addTask { try ledger.raise(vm, to: EpochMark(highest: Epoch(Int64(number)), closed: .none)) }
            }
            try await group.waitForAll()
        }
        #expect(try ledger.mark(of: vm).highest == Epoch(40))
    }

    @Test func `a second agent on the same data directory gets a clear error`() throws {
        let lock = try DataDirectoryLock(directory: directory.path, mode: 0o711)
        let fault = try #require(throws: Fault.self) {
            _ = try DataDirectoryLock(directory: directory.path, mode: 0o711)
        }
        #expect(fault.message.contains("Another process uses"))
        #expect(fault.message.contains(directory.path))
        withExtendedLifetime(lock) {}
    }

    @Test func `the data directory is free again when its lock is released`() throws {
        for _ in 1...2 { withExtendedLifetime(try DataDirectoryLock(directory: directory.path, mode: 0o711)) {} }
    }
}
