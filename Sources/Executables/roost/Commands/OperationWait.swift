import APIClient
import APIContract

/// Waits for operations, and says what came of them.
struct OperationWait {
    let session: Session
    /// The VM, or the host for work on a whole host, as the reader named it.
    let subject: String
    let seconds: Int
    var progress = Progress()

    /// How long the server may stay away, for a restart, before the wait is given up.
    private static let absenceMax = Duration.seconds(60)

    init(session: Session, vm: String, seconds: Int) { self.init(session: session, subject: vm, seconds: seconds) }

    init(session: Session, host: String, seconds: Int) { self.init(session: session, subject: host, seconds: seconds) }

    init(session: Session, subject: String, seconds: Int) {
        self.session = session
        self.subject = subject
        self.seconds = seconds
    }

    /// Returns once the operation has ended, whatever its end.
    func end(of operation: Answer<OperationResource>) async throws -> Answer<OperationResource> {
        let clock = ContinuousClock()
        let start = clock.now
        var lastContact = start
        var latest = operation
        defer { progress.clear() }
        while !latest.value.isEnded {
            let asked = clock.now
            let left = Duration.seconds(seconds) - (asked - start)
            guard left > .zero else { throw timedOut(latest.value) }
            show(latest.value, after: asked - start)
            // Short polls keep the progress line alive; without one, the server's answer at the end is all that counts.
            let hold = min(progress.isVisible ? 1 : 30, Int(left.components.seconds) + 1)
            do throws(APIFailure) {
                latest = try await session.client.operation(latest.value.id, waiting: hold, retries: .never)
                lastContact = clock.now
                if latest.value.isEnded { break }
            } catch {
                guard Self.isPassing(error), clock.now - lastContact < Self.absenceMax else {
                    throw CommandFailure(error).adding(hint: Self.goesOn(latest.value))
                }
            }
            // A server that answered at once, or not at all, is not asked again at once.
            let pause = Duration.milliseconds(500) - (clock.now - asked)
            if pause > .zero { try await Task.sleep(for: pause) }
        }
        return latest
    }

    /// Waits for the end, throws unless it is a good one, and prints what is true then.
    func report(_ operation: Answer<OperationResource>) async throws {
        let ended = try await end(of: operation)
        try Self.check(ended.value, of: subject)
        let sentence = session.printer.isForPeople ? try await sentence(for: ended.value) : ""
        try session.printer.done(sentence, json: ended.text, name: ended.value.id)
    }

    /// What `--no-wait` prints.
    func accepted(_ operation: Answer<OperationResource>) throws {
        try session.printer.done(operation.value.id, json: operation.text, name: operation.value.id)
    }

    /// Throws for an operation that ended without doing what was asked.
    static func check(_ operation: OperationResource, of subject: String) throws(CommandFailure) {
        let (what, why) =
            operation.vm == nil
            ? ("host", "the host is no longer in maintenance") : ("vm", "the VM had moved on, or a later request came")
        switch operation.state {
        case "failed":
            guard let problem = operation.error else {
                throw CommandFailure(
                    .refused, "The \(operation.kind) of \(subject) failed.",
                    hint: "'roost operation show \(operation.id)' shows what is known")
            }
            throw CommandFailure(.problem(problem))
        case "superseded":
            throw CommandFailure(
                .conflict,
                "The \(operation.kind) of \(subject) was superseded: \(why).",
                hint: "'roost \(what) show \(subject)' shows how it is now")
        case "cancelled":
            throw CommandFailure(
                .refused, "The \(operation.kind) of \(subject) was cancelled.",
                hint: "'roost operation show \(operation.id)' shows by what")
        default: return
        }
    }

    private func sentence(for operation: OperationResource) async throws -> String {
        let names = await session.names([.hosts])
        let host = names[operation.host]
        return switch operation.outcome {
        case "deferred": try await deferredSentence(operation, names)
        case "started": "Started \(subject) on \(host)."
        case "stopped": "Stopped \(subject)."
        case "not-found": "\(subject) is stopped: \(host) has no domain of it."
        case "destroyed": await deletedSentence(operation)
        case "recovered": "Recovered \(subject): it is stopped."
        case "expunged": "Expunged \(subject): nothing is left of it."
        case "host-deleted": "\(subject) is gone; what its host held of it stays there, for that host was deleted."
        case "paused": "Paused \(subject)."
        case "resumed": "Resumed \(subject)."
        case "reset": "Reset \(subject)."
        case "rebooted": "Rebooted \(subject)."
        case "drained": "Drained \(subject): no VM is placed on it."
        case "migrated": "Moved \(subject) to \(names[operation.destination])."
        case let outcome: "The \(operation.kind) of \(subject) has ended: \(outcome ?? operation.state)."
        }
    }

    /// Says how the VM is now, since the GC job may be done before this is asked.
    private func deferredSentence(_ operation: OperationResource, _ names: NameBook) async throws -> String {
        guard let now = try await present(operation) else { return "\(subject) is gone: nothing is left of it." }
        let jobs = try await session.client.gcJobs(vm: operation.vm).items.filter { !$0.isEnded }
        var text = "\(subject) is \(now.state)"
        if let waitingFor = now.waitingFor {
            text += " and waits for \(names[waitingFor.host]) (\(waitingFor.reason))"
        }
        guard let job = jobs.first(where: { $0.epoch == operation.epoch }) ?? jobs.first else { return text + "." }
        guard job.state != "needs-attention" else {
            return text + ". GC job \(job.id) (\(job.kind)) needs attention: \(job.lastError ?? "")"
        }
        return text + ". GC job \(job.id) (\(job.kind)) goes on with it as soon as \(names[job.host]) can be asked."
    }

    /// How long there is to think again.
    private func deletedSentence(_ operation: OperationResource) async -> String {
        guard let now = try? await session.client.vm(operation.vm ?? subject).value, let kept = now.expungeAt else {
            return "Deleted \(subject)."
        }
        return "Deleted \(subject). Until \(kept) it can be recovered: 'roost vm recover \(now.id)'."
    }

    /// The VM as it is now; nil if its record is gone.
    private func present(_ operation: OperationResource) async throws(APIFailure) -> VMResource? {
        do { return try await session.client.vm(operation.vm ?? subject).value } catch {
            guard case .problem(let problem) = error, problem.status == 404 else { throw error }
            return nil
        }
    }

    private func show(_ operation: OperationResource, after elapsed: Duration) {
        let doing = operation.transfer.map { "\($0.text)" } ?? operation.progress ?? operation.state
        progress.show("\(operation.kind) \(subject): \(doing) (\(elapsed.components.seconds) s)")
    }

    private func timedOut(_ operation: OperationResource) -> CommandFailure {
        CommandFailure(
            .timedOut,
            "The \(operation.kind) of \(subject) did not end within \(seconds) s"
                + (operation.drain == nil ? "." : ": \(operation.progress ?? operation.state)"),
            hint: Self.goesOn(operation))
    }

    private static func goesOn(_ operation: OperationResource) -> String {
        "it goes on: 'roost operation wait \(operation.id)' waits for its end"
    }

    private static func isPassing(_ failure: APIFailure) -> Bool {
        switch failure {
        case .unreachable(_, .notConnected), .unreachable(_, .broken), .timedOut: true
        case .problem(let problem): problem.status >= 502
        case .unreachable(_, .untrusted), .unreachable(_, .noTLS), .unexpectedAnswer, .fileUnreadable: false
        }
    }
}
