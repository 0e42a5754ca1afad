import ControlPlane
import Domain
import Synchronization
import Testing

/// A store that refuses the writes with one label until it is mended.
private final class BrokenDatabase: Database {
    let inner: any Database
    private let label: String
    private let refusals = Mutex(0)
    private let isMended = Flag()

    init(_ inner: any Database, refusing label: String) {
        self.inner = inner
        self.label = label
    }

    var refused: Int { refusals.withLock { $0 } }

    func mend() { isMended.set() }

    func write<Result: Sendable>(
        _ label: String, _ body: @escaping @Sendable (any Transaction) throws -> Result
    ) async throws -> Result {
        guard label != self.label || isMended.isSet else {
            refusals.withLock { $0 += 1 }
            throw Fault(.unavailable, .storeUnavailable, "The disk is full.")
        }
        return try await inner.write(label, body)
    }

    func read<Result: Sendable>(_ body: @escaping @Sendable (any Transaction) throws -> Result) async throws -> Result {
        try await inner.read(body)
    }
}

@Suite struct EngineFaultTests {
    private let caller = Rig.operatorCaller

    @Test(arguments: ["job.put-off", "start.finish", "job.claim"])
    func `a store that refuses for a while strands no job`(label: String) async throws {
        let rig = try await Rig()
        try await rig.connect(rigHostA)
        _ = try await rig.vms.create(NewVM(name: "v", image: "tiny", cpus: 1, memory: 128), by: caller)
        let broken = BrokenDatabase(rig.database, refusing: label)
        let engine = Task { [context = rig.context.replacing(database: broken)] in try await JobEngine(context).run() }
        defer { engine.cancel() }
        let losses = Mutex(1)
        rig.hosts.decideFate { _ in
            losses.withLock { left in
                defer { left -= 1 }
                return left > 0 ? .loseAnswer : .deliver
            }
        }
        let start = try await rig.vms.start("v", on: "a", by: caller)
        _ = try await eventually("the store refused") {
            broken.refused > 1 || label == "job.put-off" && broken.refused > 0 ? true : nil
        }
        broken.mend()
        let ended = try await rig.jobs.wait(for: start.id.rawValue, atMost: .seconds(5))
        #expect(ended.outcome == .started)
        #expect(rig.hosts.log == ["A start 1"])
    }
}
