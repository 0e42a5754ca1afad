import ControlPlane
import Domain
import Foundation
import GRDB
import SQLStore
import StoreConformance
import Testing

/// A backup is one file, made while a server runs, and says of itself that it is one.
@Suite struct BackupTests {
    private let key = SQLiteBackup.KeptFile(name: "ca/ca.key", bytes: Array("secret".utf8), mode: 0o600)

    private func made(_ place: TemporaryStore, _ name: String = "copy") async throws -> String {
        let target = "\(place.directory)/\(name)"
        try await SQLiteBackup.make(
            of: place.path, to: target, with: [key], release: "1.2.3", madeAt: "noon", clock: place.clock,
            logger: quietLogger)
        return target
    }

    private func fault(_ body: () async throws -> Void) async throws -> Fault {
        try await #require(throws: Fault.self) { try await body() }
    }

    @Test func `a backup of a store in use is one private file, and what is restored from it only observes`()
        async throws
    {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        defer { store.close() }
        let running = Sample.vm(1, state: .running(Sample.placement(1, epoch: 3)))
        try await store.write("insert") { transaction in
            try transaction.insert(Sample.node("node"))
            var host = Sample.host(1)
            (host.connection, host.node) = (.connected, "node")
            try transaction.insert(host)
            try transaction.insert(running)
            _ = try transaction.enqueue(Sample.job(1))
        }
        _ = try await store.write("claim") { try $0.claimDueJobs(owner: "node", limit: 1) }
        let target = try await made(place)
        let names = try FileManager.default.contentsOfDirectory(atPath: place.directory).filter { $0.contains("copy") }
        #expect(names == ["copy"])
        let mode = try FileManager.default.attributesOfItem(atPath: target)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        // The store goes on as it was.
        #expect(try await store.read { try $0.vm(running.id)?.state } == running.state)
        #expect(try await store.read { try $0.recovery().observing } == nil)

        let backup = try SQLiteBackup(opening: target, logger: quietLogger)
        #expect(backup.files == [key])
        #expect(backup.release == "1.2.3" && backup.madeAt == place.clock.wall())
        let back = try TemporaryStore()
        defer { back.remove() }
        try backup.restore(to: back.path, logger: quietLogger)
        let restored = try back.open()
        defer { restored.close() }
        let (recovery, vm, host) = try await restored.read { tx in
            (try tx.recovery(), try tx.vm(running.id), try tx.host(Sample.hostID(1)))
        }
        #expect(recovery.observing?.reason == "The records were restored from the backup of noon.")
        #expect(vm?.state == .unknown(Sample.placement(1, epoch: 3), .recordsRestored))
        #expect(host?.connection == .disconnected && host?.isAwaited == true)
        #expect(try await restored.read { try $0.nodes() }.isEmpty)
        #expect(try await restored.read { try $0.unfinishedJobs() }.map(\.state) == [.waiting])
        restored.close()
        let bytes = try Data(contentsOf: URL(filePath: back.path))
        #expect(bytes.range(of: Data("secret".utf8)) == nil, "a key was left in the database")
    }

    @Test func `a backup that is put in place by hand, and one of a store that observes, only observe`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        try place.open().close()
        let byHand = try TemporaryStore()
        defer { byHand.remove() }
        try FileManager.default.copyItem(atPath: try await made(place), toPath: byHand.path)
        let store = try byHand.open()
        #expect(try await store.read { try $0.recovery().observing } != nil)
        store.close()
        let second = try await made(byHand)
        #expect(try SQLiteBackup(opening: second, logger: quietLogger).files == [key])
    }

    @Test func `nothing is overwritten, and what is no backup is refused in words`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        try place.open().close()
        let target = try await made(place)
        let before = try Data(contentsOf: URL(filePath: target))
        #expect(try await fault { _ = try await made(place) }.message == "\(target) is there already.")
        #expect(try Data(contentsOf: URL(filePath: target)) == before)
        let backup = try SQLiteBackup(opening: target, logger: quietLogger)
        #expect(try await fault { try backup.restore(to: place.path, logger: quietLogger) }.message.contains("already"))
        #expect(
            try await fault {
                try await SQLiteBackup.make(
                    of: "\(place.directory)/none.db", to: "\(place.directory)/x", with: [], release: "", madeAt: "",
                    clock: place.clock, logger: quietLogger)
            }.message.contains("There is no database"))
        #expect(!FileManager.default.fileExists(atPath: "\(place.directory)/none.db"))

        let text = "\(place.directory)/text"
        try Data("hello, this is no database at all, whatever it is called".utf8).write(to: URL(filePath: text))
        for path in [text, place.path] {
            let refusal = try await fault { _ = try SQLiteBackup(opening: path, logger: quietLogger) }
            #expect(refusal.message == "\(path) is no backup that roostd made.")
        }
        #expect(
            try await fault { _ = try SQLiteBackup(opening: "/nowhere/x", logger: quietLogger) }.message
                .contains("No such file"))
    }

    @Test(arguments: [
        ("UPDATE backup SET format = 2", "newer release of Roost (1.2.3)"),
        ("INSERT INTO schema_version (version, name, applied_at) VALUES (99, 'later', 0)", "schema has version 99"),
    ])
    func `a backup of a newer release is refused`(_ change: String, _ reason: String) async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        try place.open().close()
        let target = try await made(place)
        let queue = try DatabaseQueue(path: target)
        try await queue.write { try $0.execute(sql: change) }
        try queue.close()
        let refusal = try await fault { _ = try SQLiteBackup(opening: target, logger: quietLogger) }
        #expect(refusal.message.contains(reason), "\(refusal.message)")
    }

    @Test func `a damaged backup is refused`() async throws {
        let place = try TemporaryStore()
        defer { place.remove() }
        let store = try place.open()
        try await store.write("insert") { transaction in
            for number in 1...400 { try transaction.insert(Sample.vm(number)) }
        }
        store.close()
        let target = try await made(place)
        // One page of the VMs, so that nothing but a look at every page tells of it.
        var bytes = try Data(contentsOf: URL(filePath: target))
        let found = try #require(bytes.range(of: Data("vm200".utf8)))
        let page = found.lowerBound / 4096 * 4096
        bytes.replaceSubrange(page..<page + 64, with: Data(repeating: 0xA5, count: 64))
        try bytes.write(to: URL(filePath: target))
        let refusal = try await fault { _ = try SQLiteBackup(opening: target, logger: quietLogger) }
        #expect(refusal.message.contains("damaged"), "\(refusal.message)")
    }
}
