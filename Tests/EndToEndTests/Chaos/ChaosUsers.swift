import APIContract
import Foundation
import Synchronization

/// Carries out wishes, several at a time, until the storm is over.
struct ChaosUsers: Sendable {
    let chaos: ChaosBench
    private let wishes: Wishes

    private final class Wishes: Sendable {
        private let plan: Mutex<ChaosPlan>

        init(_ plan: ChaosPlan) { self.plan = Mutex(plan) }

        func next() -> ChaosPlan.Wish { plan.withLock { $0.wish() } }
    }

    init(_ chaos: ChaosBench, seed: UInt64) {
        self.chaos = chaos
        wishes = Wishes(ChaosPlan(seed: seed))
    }

    static func name(_ vm: Int) -> String { "v\(vm)" }
    /// The VM that lives on this real host alone.
    static func name(onReal host: String) -> String { "real-\(host)" }

    func createAll() async throws {
        for vm in 0..<ChaosPlan.vms { try await create(Self.name(vm)) }
        for host in ChaosBench.real { try await create(Self.name(onReal: host)) }
    }

    private func create(_ name: String) async throws {
        let body = CreateVMRequest(name: name, image: "tiny", cpus: 1, memory: 96)
        _ = try await chaos.user.ask("create \(name)", "POST", "/vms", body)
    }

    /// A user of the simulated hosts.
    func run(while goesOn: @Sendable () -> Bool) async throws {
        while goesOn() {
            try await carryOut(wishes.next())
            // As fast as they can, users would only wear the machine out.
            try await Task.sleep(for: .milliseconds(60))
        }
    }

    /// A user of one real host, whose guest is started and stopped in turn.
    func run(onReal host: String, while goesOn: @Sendable () -> Bool) async throws {
        let name = Self.name(onReal: host)
        while goesOn() {
            switch try await chaos.vm(name).state {
            case "created", "stopped", "crashed": try await start(name, on: host, wait: 5, first: 0)
            case "running": try await stop(name, isDeferrable: true, wait: 5, first: 1)
            default: break
            }
            try await Task.sleep(for: .seconds(4))
        }
    }

    private func carryOut(_ wish: ChaosPlan.Wish) async throws {
        if wish.isTrigger { return try await triggerGC(wish) }
        let name = Self.name(wish.vm)
        let shown = try await chaos.user.ask("show \(name)", "GET", "/vms/\(name)", nil, first: wish.server)
        guard shown.status == 200 else { return try await create(name) }
        let vm = try shown.json(VMResource.self)
        switch vm.state {
        case "destroyed": try await create(name)
        case _ where wish.isDelete: try await delete(name, wish)
        case "created", "stopped", "crashed":
            try await start(name, on: "s\(wish.host + 1)", wait: wish.wait, first: wish.server)
        default: try await stop(name, isDeferrable: wish.isDeferrable, wait: wish.wait, first: wish.server)
        }
    }

    private func start(_ name: String, on host: String, wait: Int, first: Int) async throws {
        _ = try await chaos.user.ask(
            "start \(name) \(host)", "POST", "/vms/\(name)/actions/start?wait=\(wait)", StartVMRequest(host: host),
            first: first)
    }

    private func stop(_ name: String, isDeferrable: Bool, wait: Int, first: Int) async throws {
        _ = try await chaos.user.ask(
            "stop \(name)\(isDeferrable ? " defer" : "")", "POST", "/vms/\(name)/actions/stop?wait=\(wait)",
            StopVMRequest(mode: "cold", defer: isDeferrable), first: first)
    }

    private func delete(_ name: String, _ wish: ChaosPlan.Wish) async throws {
        _ = try await chaos.user.ask(
            "delete \(name)", "DELETE", "/vms/\(name)?wait=\(wish.wait)&defer=\(wish.isDeferrable)", nil,
            first: wish.server)
    }

    private func triggerGC(_ wish: ChaosPlan.Wish) async throws {
        let shown = try await chaos.user.ask("show GC jobs", "GET", "/gc-jobs?state=waiting", nil, first: wish.server)
        guard let job = try shown.json(Page<GCJobResource>.self).items.first else { return }
        _ = try await chaos.user.ask(
            "trigger \(job.id)", "POST", "/gc-jobs/\(job.id)/actions/trigger", nil, first: wish.server)
    }
}
