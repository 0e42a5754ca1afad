import APIContract
import Foundation

/// Carries out wishes, several at a time.
struct RandomUsers: Sendable {
    let api: BenchAPI
    let journal: RandomJournal

    static func name(_ vm: Int) -> String { "v\(vm)" }

    func create(_ vm: Int, image: Int) async throws {
        let body = CreateVMRequest(name: Self.name(vm), image: "guest\(image)", cpus: 1, memory: 96)
        _ = try await ask("create \(Self.name(vm))", "POST", "/vms", body)
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
            answer = try await ask("start \(name)", "POST", "\(action)/start\(wait)", StartVMRequest())
        case .startThere:
            answer = try await ask(
                "start \(name) \(host)", "POST", "\(action)/start\(wait)", StartVMRequest(host: host))
        case .stop:
            let body = StopVMRequest(mode: wish.mode, timeout: wish.patience, defer: wish.isDeferrable)
            let words = "stop \(name) \(wish.mode) \(wish.patience) s\(wish.isDeferrable ? " defer" : "")"
            answer = try await ask(words, "POST", "\(action)/stop\(wait)", body)
        case .pause, .resume, .reset:
            answer = try await ask("\(kind) \(name)", "POST", "\(action)/\(kind)\(wait)", nil)
        case .reboot:
            answer = try await ask(
                "reboot \(name)", "POST", "\(action)/reboot\(wait)", RebootVMRequest(timeout: wish.patience))
        case .migrate:
            answer = try await ask("migrate \(name)", "POST", "\(action)/migrate\(wait)", MigrateVMRequest())
        case .migrateThere:
            answer = try await ask(
                "migrate \(name) \(host)", "POST", "\(action)/migrate\(wait)", MigrateVMRequest(host: host))
        case .migrateCold:
            let body = MigrateVMRequest(host: host, live: false, stopTimeout: wish.patience)
            answer = try await ask("migrate \(name) \(host) cold", "POST", "\(action)/migrate\(wait)", body)
        case .cancel: return try await cancel(name)
        case .delete:
            let query = "\(wait)&defer=\(wish.isDeferrable)"
            answer = try await ask(
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
        let shown = try await ask("show \(name)", "GET", "/vms/\(name)", nil)
        guard shown.status == 200, let operation = try shown.json(VMResource.self).operation else {
            return false
        }
        let answer = try await ask(
            "cancel \(name) \(operation)", "POST", "/operations/\(operation)/actions/cancel", nil)
        return answer.status < 300
    }

    private func triggerGC() async throws {
        let shown = try await ask("show GC jobs", "GET", "/gc-jobs?state=waiting", nil)
        guard let job = try shown.json(Page<GCJobResource>.self).items.first else { return }
        _ = try await ask("trigger \(job.id)", "POST", "/gc-jobs/\(job.id)/actions/trigger", nil)
    }

    /// Sends a request; one that was not answered again and again, as the same request.
    private func ask(
        _ what: String, _ method: String, _ path: String, _ body: (any Encodable & Sendable)?
    ) async throws -> BenchAPI.Answer {
        let key = method == "GET" ? nil : UUID().uuidString
        let deadline = ContinuousClock.now + .seconds(90)
        while true {
            do {
                let answer = try await api.send(method, path, body: body, key: key)
                try take(answer, to: what)
                return answer
            } catch let error as BenchAPI.Unanswered {
                journal.note("\(what): no answer: \(error)")
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(300))
            }
        }
    }

    private func take(_ answer: BenchAPI.Answer, to what: String) throws {
        switch answer.status {
        case 200, 201: journal.note("\(what): \(answer.status)")
        case 202:
            if let operation = try? answer.json(OperationResource.self) {
                journal.accepted(operation.id)
                journal.count("accepted")
                let end = operation.error.map { " \($0.code)" } ?? ""
                journal.note("\(what): \(operation.id) of \(operation.vm ?? "no VM") \(operation.state)\(end)")
            } else {
                journal.note("\(what): accepted")
            }
        case 404, 409, 412, 503:
            journal.count("refused \(answer.code)")
            journal.note("\(what): \(answer.code)")
        default: journal.violated("\(what): the server answered \(answer.status) \(answer.code)")
        }
    }
}
