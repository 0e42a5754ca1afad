import AgentContract
package import ControlPlane
package import Domain
import Foundation
package import Logging

/// The sessions of all agents: those of this node directly, those of other nodes through errands in the database that they
/// share.
///
/// An errand that nobody has taken when its time is up never left; one that was taken may have had its effect.
package final class RelayedSessions: HostSessions {
    private let registry: SessionRegistry
    private let database: any Database
    private let feed: CommitFeed
    private let node: NodeIdentity
    private let time: any TimeSource
    private let ids: any IDSource
    private let logger: Logger

    /// How long an errand and its answer may be under way, on top of the question's own limit.
    private static let travelLimit: Duration = .seconds(3)
    /// Long after this nobody waits for an errand's answer any more.
    private static let errandLife: Duration = .seconds(3600)
    private static let takenAtOnce = 64

    package init(
        registry: SessionRegistry, database: any Database, feed: CommitFeed, node: NodeIdentity, time: any TimeSource,
        ids: any IDSource, logger: Logger
    ) {
        self.registry = registry
        self.database = database
        self.feed = feed
        self.node = node
        self.time = time
        self.ids = ids
        self.logger = logger
    }

    // MARK: HostSessions

    package func send(_ command: HostCommand, id: CommandID, to host: HostID, limit: Duration) async -> CommandEnd {
        guard let other = await otherHolder(of: host) else {
            return await registry.send(command, id: id, to: host, limit: limit)
        }
        switch await ask(other, of: host, limit, { $0.command = WireCommand(command, id: id) }) {
        case .answered(let reply): return CommandEnd(reply)
        case .notSent(let fault): return .notSent(fault)
        case .unknown(let fault): return .outcomeUnknown(fault)
        }
    }

    package func settle(_ id: CommandID, on host: HostID, limit: Duration) async -> Settlement {
        guard let other = await otherHolder(of: host) else {
            return await registry.settle(id, on: host, limit: limit)
        }
        switch await ask(other, of: host, limit, { $0.settle = id.rawValue }) {
        case .answered(let reply): return Settlement(reply)
        case .notSent(let fault), .unknown(let fault): return .unknown(fault)
        }
    }

    package func acknowledge(_ id: CommandID, on host: HostID) async {
        guard let other = await otherHolder(of: host) else { return registry.acknowledge(id, on: host) }
        // Nobody waits for it; lost, it costs the agent a line in its journal.
        _ = await leave(other, of: host, .with { $0.acknowledge = id.rawValue })
    }

    package func inventory(of host: HostID, limit: Duration) async throws(Fault) -> SessionInventory {
        guard let other = await otherHolder(of: host) else {
            return try await registry.inventory(of: host, limit: limit)
        }
        guard case .inventory(let found) = try await question(other, of: host, limit, { $0.inventory = .init() }) else {
            throw .wrongAnswer
        }
        do throws(UnreadableMessage) {
            return SessionInventory(session: found.session, inventory: try Inventory(reading: found.inventory))
        } catch { throw error.fault }
    }

    package func holdings(of host: HostID, limit: Duration) async throws(Fault) -> HostHoldings {
        guard let other = await otherHolder(of: host) else {
            return try await registry.holdings(of: host, limit: limit)
        }
        guard case .holdings(let found) = try await question(other, of: host, limit, { $0.holdings = .init() }) else {
            throw .wrongAnswer
        }
        do throws(UnreadableMessage) { return try HostHoldings(reading: found) } catch { throw error.fault }
    }

    package func consoleLog(of vm: VMID, on host: HostID, limit: Int) async throws(Fault) -> [UInt8] {
        guard let other = await otherHolder(of: host) else {
            return try await registry.consoleLog(of: vm, on: host, limit: limit)
        }
        let reply = try await question(other, of: host, .seconds(10)) { request in
            request.consoleLog = .with {
                $0.vm = vm.rawValue
                $0.limit = Int64(limit)
            }
        }
        guard case .consoleLog(let log) = reply else { throw .wrongAnswer }
        return [UInt8](log)
    }

    package func disconnect(_ host: HostID, reason: String) async {
        guard let other = await otherHolder(of: host) else {
            return await registry.disconnect(host, reason: reason)
        }
        _ = await ask(other, of: host, .seconds(10), { $0.disconnect = reason })
    }

    package func disconnectAll(reason: String) async { await registry.disconnectAll(reason: reason) }

    package func endOvertaken(_ current: @Sendable () async throws -> [HostID: Int64]) async throws {
        try await registry.endOvertaken(current)
    }

    /// Told to the agents of this node; the others learn it with their agents' next sessions.
    package func note(_ point: RecordPoint) async { registry.advance(to: point) }

    // MARK: Asking

    private enum Answer {
        case answered(RelayReply.OneOf_Kind)
        case notSent(Fault)
        case unknown(Fault)
    }

    /// The node that holds the host's session, if it is another one.
    private func otherHolder(of host: HostID) async -> String? {
        guard registry.session(of: host) == nil else { return nil }
        let holder = try? await database.read { try $0.host(host)?.node }
        return holder == node.id ? nil : holder ?? nil
    }

    private func question(
        _ other: String, of host: HostID, _ limit: Duration, _ ask: (inout RelayRequest) -> Void
    ) async throws(Fault) -> RelayReply.OneOf_Kind {
        switch await self.ask(other, of: host, limit, ask) {
        case .answered(.fault(let fault)): throw Fault(readingOrRefusing: fault)
        case .answered(let reply): return reply
        case .notSent(let fault): throw fault
        case .unknown: throw .questionUnanswered
        }
    }

    private func ask(
        _ other: String, of host: HostID, _ limit: Duration, _ fill: (inout RelayRequest) -> Void
    ) async -> Answer {
        var request = RelayRequest()
        request.limitMs = limit.wholeMilliseconds
        fill(&request)
        let id: String
        switch await leave(other, of: host, request) {
        case .success(let left): id = left
        // The write may have been kept all the same, and the other node may be at it.
        case .failure(let fault): return .unknown(.noAnswer(fault.message))
        }
        let deadline = time.monotonic() + limit + Self.travelLimit
        while !Task.isCancelled {
            let ticket = feed.ticket(.anything)
            if let text = try? await database.read({ try $0.errandAnswer(id) }) { return await close(id, text) }
            let left = deadline - time.monotonic()
            guard left > .zero else { break }
            await feed.wait(past: ticket, atMost: min(left, .seconds(1)), time)
        }
        return await close(id, nil)
    }

    /// Takes the errand back; what it came to is what the database says then.
    private func close(_ id: String, _ answer: String?) async -> Answer {
        let end: ErrandEnd
        do { end = try await database.write("relay.close") { try $0.withdrawErrand(id) } } catch {
            end = answer.map(ErrandEnd.answered) ?? .unanswered
        }
        switch end {
        case .answered(let text):
            guard let data = Data(base64Encoded: text), let kind = try? RelayReply(serializedBytes: data).kind else {
                return .unknown(.wrongAnswer)
            }
            return .answered(kind)
        case .untaken: return .notSent(.nodeSilent)
        case .unanswered: return .unknown(.noAnswer("the node that holds the host's session did not say"))
        }
    }

    private func leave(_ other: String, of host: HostID, _ request: RelayRequest) async -> Result<String, Fault> {
        do {
            let errand = Errand(
                id: ids.uuid(), node: other, host: host, request: try request.serializedData().base64EncodedString())
            try await database.write("relay.leave") { try $0.leave(errand) }
            return .success(errand.id)
        } catch {
            return .failure(error as? Fault ?? .nodeSilent)
        }
    }

    // MARK: Doing

    /// Does what other nodes ask of this one's agents, until the task is cancelled.
    package func serve() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let ticket = feed.ticket(.anything)
                let errands = await take()
                for errand in errands { group.addTask { await self.carryOut(errand) } }
                if errands.isEmpty { await feed.wait(past: ticket, atMost: .seconds(2), time) }
            }
        }
    }

    private func take() async -> [Errand] {
        let id = node.id
        do {
            guard try await database.read({ try $0.hasErrands(for: id) }) else { return [] }
            return try await database.write("relay.take") { tx in
                try tx.removeErrands(before: tx.now.adding(.zero - Self.errandLife))
                return try tx.takeErrands(for: id, limit: Self.takenAtOnce)
            }
        } catch {
            logger.warning("cannot look for errands of other nodes", metadata: ["error": "\(error)"])
            return []
        }
    }

    private func carryOut(_ errand: Errand) async {
        let reply: RelayReply
        if let data = Data(base64Encoded: errand.request), let request = try? RelayRequest(serializedBytes: data) {
            reply = await answer(request, errand.host)
        } else {
            reply = .with { $0.fault = WireFault(.wrongAnswer) }
        }
        do {
            let text = try reply.serializedData().base64EncodedString()
            try await database.write("relay.answer") { try $0.answerErrand(errand.id, with: text) }
        } catch {
            logger.warning("cannot answer an errand", metadata: ["host": "\(errand.host)", "error": "\(error)"])
        }
    }

    private func answer(_ request: RelayRequest, _ host: HostID) async -> RelayReply {
        let limit = Duration.milliseconds(request.limitMs)
        do {
            switch request.kind {
            case .command(let wire):
                let id: CommandID = try readID(wire.id, "the command")
                return RelayReply(
                    await registry.send(try HostCommand(reading: wire), id: id, to: host, limit: limit))
            case .settle(let id):
                return RelayReply(await registry.settle(try readID(id, "the command"), on: host, limit: limit))
            case .acknowledge(let id): registry.acknowledge(try readID(id, "the command"), on: host)
            case .inventory:
                let found = try await registry.inventory(of: host, limit: limit)
                return .with {
                    $0.inventory = .with {
                        $0.session = found.session
                        $0.inventory = WireInventory(found.inventory)
                    }
                }
            case .holdings:
                let found = try await registry.holdings(of: host, limit: limit)
                return .with { $0.holdings = WireHoldings(found) }
            case .consoleLog(let ask):
                let log = try await registry.consoleLog(
                    of: try readID(ask.vm, "the VM"), on: host, limit: Int(ask.limit))
                return .with { $0.consoleLog = Data(log) }
            case .disconnect(let reason): await registry.disconnect(host, reason: reason)
            case nil: throw UnreadableMessage("an errand of a kind that this release does not know")
            }
        } catch let fault as Fault {
            return .with { $0.fault = WireFault(fault) }
        } catch {
            return .with { $0.fault = WireFault((error as? UnreadableMessage)?.fault ?? .wrongAnswer) }
        }
        return .with { $0.done = .init() }
    }
}

extension Fault {
    fileprivate static let nodeSilent = Fault(
        .unavailable, .hostUnreachable, "The management node that holds the host's session does not answer.",
        hint: "Try again shortly: its hosts go to another node if it is gone.")
}

extension CommandEnd {
    fileprivate init(_ reply: RelayReply.OneOf_Kind) {
        switch reply {
        case .outcome(let wire):
            do throws(UnreadableMessage) { self = CommandEnd(try CommandOutcome(reading: wire)) } catch {
                self = .outcomeUnknown(.wrongAnswer)
            }
        case .notSent(let fault): self = .notSent(Fault(readingOrRefusing: fault))
        case .unknown(let fault): self = .outcomeUnknown(Fault(readingOrRefusing: fault))
        // The node could not read the errand: it sent nothing.
        case .fault(let fault): self = .notSent(Fault(readingOrRefusing: fault))
        case .neverReceived, .inventory, .holdings, .consoleLog, .done: self = .outcomeUnknown(.wrongAnswer)
        }
    }
}

extension Settlement {
    fileprivate init(_ reply: RelayReply.OneOf_Kind) {
        switch reply {
        case .outcome(let wire):
            do throws(UnreadableMessage) { self = .ended(try CommandOutcome(reading: wire)) } catch {
                self = .unknown(.wrongAnswer)
            }
        case .neverReceived: self = .neverReceived
        case .notSent(let fault), .unknown(let fault), .fault(let fault):
            self = .unknown(Fault(readingOrRefusing: fault))
        case .inventory, .holdings, .consoleLog, .done: self = .unknown(.wrongAnswer)
        }
    }
}

extension RelayReply {
    fileprivate init(_ end: CommandEnd) {
        self.init()
        switch end {
        case .done(let result): outcome = WireOutcome(.done(result))
        case .failed(let fault): outcome = WireOutcome(.failed(fault))
        case .rejected(let fault): outcome = WireOutcome(.rejected(fault))
        case .notSent(let fault): notSent = WireFault(fault)
        case .outcomeUnknown(let fault): unknown = WireFault(fault)
        }
    }

    fileprivate init(_ settlement: Settlement) {
        self.init()
        switch settlement {
        case .ended(let ended): outcome = WireOutcome(ended)
        case .neverReceived: neverReceived = .init()
        case .unknown(let fault): unknown = WireFault(fault)
        }
    }
}
