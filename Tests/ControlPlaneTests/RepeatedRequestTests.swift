import ControlPlane
import Domain
import Testing

@Suite struct RepeatedRequestTests {
    private func caller(_ key: String, _ digest: String = "1") -> Caller {
        Caller(principal: Principal(name: "operator"), request: Caller.RequestKey(key: key, digest: digest))
    }

    /// The same request twice gives the same answer, and its key serves no other.
    private func expectOnce(
        _ what: String, _ request: (Caller) async throws -> String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let first = try await request(caller(what))
        let again = try await request(caller(what))
        #expect(first == again, "\(what)", sourceLocation: sourceLocation)
        do {
            _ = try await request(caller(what, "2"))
            Issue.record("the key of \(what) was accepted for another body", sourceLocation: sourceLocation)
        } catch let fault as Fault {
            #expect(fault.code == .idempotencyKeyReused, "\(what)", sourceLocation: sourceLocation)
        }
    }

    @Test func `what is asked of hosts is done once however often it is sent`() async throws {
        let rig = try await Rig()
        try await rig.connect(rigHostA)
        let hosts = rig.hostService
        try await expectOnce("add") { try await hosts.add("c", by: $0).id.rawValue }
        try await expectOnce("token") { try await hosts.renewJoinToken("c", by: $0).id.rawValue }
        try await expectOnce("disable") { try await hosts.setState(.disabled, of: "a", by: $0).host.id.rawValue }
        try await expectOnce("reconnect") { try await hosts.reconnect("a", by: $0).host.id.rawValue }
        try await rig.cut(rigHostA)
        var fenced = 0
        try await expectOnce("fence") {
            let host = try await hosts.fence("a", proof: "off", by: $0).host
            if fenced == 0 { try await rig.connect(rigHostA) }
            fenced += 1
            return host.id.rawValue
        }
    }

    @Test func `a repeated delete of a host tells again what it left`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller("stop"))
        try await expectOnce("delete") {
            let removal = try await rig.hostService.delete("a", isForced: true, by: $0)
            return "\(removal.host.id) \(removal.unresolved.map(\.name)) \(removal.cancelled.map(\.id))"
        }
    }

    @Test func `what is asked of GC jobs is done once however often it is sent`() async throws {
        let rig = try await Rig()
        try await rig.connect(rigHostA)
        let engine = rig.startEngine()
        defer { engine.cancel() }
        _ = try await rig.runningVM()
        try await rig.cut(rigHostA)
        _ = try await rig.vms.stop("v", StopRequest(mode: .cold, isDeferrable: true), by: caller("stop"))
        let job = try #require(try await rig.gcJobs().first).id.rawValue
        _ = try await rig.jobs.trigger(job, by: caller("trigger"))
        _ = try await eventually("it waits again") {
            try await rig.gcJobs("waiting").first.flatMap { $0.attempts > 0 ? true : nil }
        }
        try await expectOnce("cancel") { try await rig.jobs.cancelGCJob(job, by: $0).id.rawValue }
        // The job has ended by now, and the earlier answer still stands.
        try await expectOnce("trigger") { try await rig.jobs.trigger(job, by: $0).id.rawValue }
    }

    @Test func `a key is good for as long as it is remembered, however short jobs are kept`() async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        _ = try await rig.runningVM()
        let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller("stop"))
        _ = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(60))
        var settings = rig.context.settings
        settings.jobRetention = .milliseconds(-10)
        try await Retention(rig.context.replacing(settings: settings)).sweep()
        #expect(try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller("stop")).id == stop.id)
    }
}

extension Context {
    func replacing(settings: ControlSettings) -> Context {
        Context(
            database: database, sessions: sessions, time: time, ids: ids, random: random, faults: faults, feed: feed,
            settings: settings, logger: logger)
    }
}
