import AgentDisk
import Domain
import HostAgent
import Platform
import Testing

@Suite struct CommandJournalTests {
    private let directory: TemporaryDirectory
    private let id = CommandID(from: SystemIDs())
    private let begun = BegunCommand(kind: .stop, vm: VMID(from: SystemIDs()), epoch: Epoch(7))
    private let outcome = CommandOutcome.done(CommandResult(effect: .stopped, sequence: 41))

    init() throws { directory = try TemporaryDirectory() }

    private func open() throws -> DiskCommandJournal { try DiskCommandJournal(directory: directory.path) }

    @Test func `what became of a command is known after a restart`() throws {
        try open().begin(id, begun)
        #expect(try open().entry(id) == .begun(begun))
        try open().end(id, outcome)
        #expect(try open().entry(id) == .ended(outcome))
        #expect(try open().entry(CommandID(from: SystemIDs())) == nil)
    }

    @Test func `a failure keeps its words`() throws {
        let failed = CommandOutcome.failed(Fault(.unavailable, .commandFailed, "\"It\" broke.", hint: "Mend it."))
        try open().end(id, failed)
        #expect(try open().entry(id) == .ended(failed))
    }

    @Test func `what was begun and what ended are told apart after a restart`() throws {
        let other = CommandID(from: SystemIDs())
        let journal = try open()
        try journal.begin(id, begun)
        try journal.begin(other, begun)
        try journal.end(other, outcome)
        try journal.refuse(CommandID(from: SystemIDs()))
        #expect(try open().entry(id) == .begun(begun))
        #expect(try open().entry(other) == .ended(outcome))
    }

    @Test func `an end is forgotten when acknowledged, a refusal and a begun command are not`() throws {
        let (refused, ended) = (CommandID(from: SystemIDs()), CommandID(from: SystemIDs()))
        let journal = try open()
        try journal.begin(id, begun)
        try journal.refuse(refused)
        try journal.end(ended, outcome)
        for command in [id, refused, ended, ended] { try journal.forget(command) }
        #expect(try journal.entry(id) == .begun(begun))
        #expect(try journal.entry(refused) == .refused)
        #expect(try journal.entry(ended) == nil)
    }

    @Test(arguments: ["", "{", "{\"version\":1}", "{\"version\":2,\"record\":{\"refused\":{}}}", "null"])
    func `a damaged file is an error that names it, never an absence`(content: String) throws {
        let journal = try open()
        try directory.write(content, to: "\(id).json")
        let fault = try #require(throws: Fault.self) { try journal.entry(id) }
        #expect(fault.message.contains("\(directory.path)/\(id).json"))
        #expect(throws: Fault.self) { try open() }
    }

    @Test func `a file that a crash left half-written is not read and goes away`() throws {
        try directory.write("{\"ver", to: ".new-\(id).json-1-2")
        #expect(try open().entry(id) == nil)
        #expect(directory.names().isEmpty)
    }

    @Test func `ends that nobody acknowledged go after a week, refusals after a month, begun commands never`() throws {
        let (refused, ended) = (CommandID(from: SystemIDs()), CommandID(from: SystemIDs()))
        let journal = try open()
        try journal.begin(id, begun)
        try journal.refuse(refused)
        try journal.end(ended, outcome)
        for command in [id, refused, ended] { try directory.makeOlder("\(command).json", days: 8) }
        #expect(try open().entry(ended) == nil)
        #expect(try open().entry(refused) == .refused)
        for command in [id, refused] { try directory.makeOlder("\(command).json", days: 31) }
        #expect(try open().entry(refused) == nil)
        #expect(try open().entry(id) == .begun(begun))
    }
}
