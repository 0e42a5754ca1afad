import APIContract
import Foundation

/// Carries out wishes, several at a time.
struct RandomUsers: Sendable {
    let api: BenchAPI
    let journal: RandomJournal

    private var user: PatientUser { PatientUser(servers: [api], journal: journal) }

    static func name(_ vm: Int) -> String { "v\(vm)" }

    func create(_ vm: Int, image: Int) async throws {
        let body = CreateVMRequest(name: Self.name(vm), image: "guest\(image)", cpus: 1, memory: 96)
        _ = try await user.ask("create \(Self.name(vm))", "POST", "/vms", body)
    }

    /// Whether the server accepted an operation.
    func carryOut(_ wish: RandomPlan.Wish) async throws -> Bool {
        let (vm, state) = await target(of: wish)
        let name = Self.name(vm)
        let kind = wish.sensible(in: state)
        let host = "h\(wish.host + 1)"
        journal.count("wish \(kind)")
        let action = "/vms/\(name)/actions"
        let wait = "?wait=\(wish.wait)"
        let answer: BenchAPI.Answer
        switch kind {
        case .start:
            answer = try await user.ask("start \(name)", "POST", "\(action)/start\(wait)", StartVMRequest())
        case .startThere:
            answer = try await user.ask(
                "start \(name) \(host)", "POST", "\(action)/start\(wait)", StartVMRequest(host: host))
        case .stop:
            let body = StopVMRequest(mode: wish.mode, timeout: wish.patience, defer: wish.isDeferrable)
            let words = "stop \(name) \(wish.mode) \(wish.patience) s\(wish.isDeferrable ? " defer" : "")"
            answer = try await user.ask(words, "POST", "\(action)/stop\(wait)", body)
        case .pause, .resume, .reset:
            answer = try await user.ask("\(kind) \(name)", "POST", "\(action)/\(kind)\(wait)", nil)
        case .reboot:
            answer = try await user.ask(
                "reboot \(name)", "POST", "\(action)/reboot\(wait)", RebootVMRequest(timeout: wish.patience))
        case .migrate:
            answer = try await user.ask("migrate \(name)", "POST", "\(action)/migrate\(wait)", MigrateVMRequest())
        case .migrateThere:
            answer = try await user.ask(
                "migrate \(name) \(host)", "POST", "\(action)/migrate\(wait)", MigrateVMRequest(host: host))
        case .migrateCold:
            let body = MigrateVMRequest(host: host, live: false, stopTimeout: wish.patience)
            answer = try await user.ask("migrate \(name) \(host) cold", "POST", "\(action)/migrate\(wait)", body)
        case .cancel: return try await cancel(name)
        case .delete:
            let query = "\(wait)&defer=\(wish.isDeferrable)"
            answer = try await user.ask(
                "delete \(name)\(wish.isDeferrable ? " defer" : "")", "DELETE", "/vms/\(name)\(query)", nil)
            if answer.status == 202, let ended = try? answer.json(OperationResource.self), ended.isEnded {
                try await create(vm, image: wish.image)
            }
        case .triggerGC:
            try await triggerGC()
            return false
        }
        if answer.status == 404 { try await create(vm, image: wish.image) }
        guard answer.status == 202 else {
            // A user who was refused thinks for a moment.
            try await Task.sleep(for: .milliseconds(100))
            return false
        }
        return true
    }

    /// The VM that was drawn; if something is under way with it and the user is not stubborn, the next one that is free.
    private func target(of wish: RandomPlan.Wish) async -> (vm: Int, state: String?) {
        guard !wish.isStubborn, wish.kind != .cancel, let all: [VMResource] = try? await api.all("/vms") else {
            return (wish.vm, nil)
        }
        let free = all.filter { ["created", "running", "paused", "stopped", "crashed"].contains($0.state) }
            .filter { $0.operation == nil }
        for step in 0..<RandomPlan.vmCount {
            let vm = (wish.vm + step) % RandomPlan.vmCount
            if let found = free.first(where: { $0.name == Self.name(vm) }) { return (vm, found.state) }
        }
        return (wish.vm, nil)
    }

    private func cancel(_ name: String) async throws -> Bool {
        let shown = try await user.ask("show \(name)", "GET", "/vms/\(name)", nil)
        guard shown.status == 200, let operation = try shown.json(VMResource.self).operation else {
            return false
        }
        let answer = try await user.ask(
            "cancel \(name) \(operation)", "POST", "/operations/\(operation)/actions/cancel", nil)
        return answer.status < 300
    }

    private func triggerGC() async throws {
        let shown = try await user.ask("show GC jobs", "GET", "/gc-jobs?state=waiting", nil)
        guard let job = try shown.json(Page<GCJobResource>.self).items.first else { return }
        _ = try await user.ask("trigger \(job.id)", "POST", "/gc-jobs/\(job.id)/actions/trigger", nil)
    }
}
