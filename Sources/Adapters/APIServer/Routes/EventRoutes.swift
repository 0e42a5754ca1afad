import APIContract
import ControlPlane
import Domain
import Hummingbird
import ServiceLifecycle

/// `/v1/events`, and the events of one VM.
struct EventRoutes: Sendable {
    let services: APIServices
    let heartbeat: Duration
    private var events: EventService { services.events }

    private static let after = QueryField<Int64>.integer(
        "after", in: 0...Int64.max,
        "Begin after this event, and with 0 with the oldest that is kept; by default with what happens from now on.")
    private static let limit = QueryField<Int64>.integer("limit", in: 1...500, "How many items; 100 by default.")
    private static let cursor = QueryField<String>.text(
        "cursor", upTo: 1024, "Where the page begins: `nextCursor` of the page before.")
    private static let page = pageShape(of: EventResource.shape)
    /// How much of the log one request looks through.
    private static let scanMax = 5000

    var routes: [Route] { [stream, ofVM] }

    private var stream: Route {
        Route(
            .get, "/v1/events", named: "streamEvents",
            "Every state change in commit order, as Server-Sent Events; `Last-Event-ID` resumes without a gap, "
                + "or is refused with 410 if an event after it is not kept any more.",
            query: [Self.after],
            answer: .other("text/event-stream", "`id`, `event` (its kind) and `data` (the event as JSON)."),
            faults: [.invalidField, .eventsExpired]
        ) { call in
            let wanted: Int64?
            if let last = call.lastEventID {
                guard let id = Int64(last), id >= 0 else {
                    throw Fault.invalid("Last-Event-ID", "must be the id of an event.")
                }
                wanted = id
            } else {
                wanted = try call.query.optional(Self.after)
            }
            let start = try await events.start(after: wanted)
            return Answer(
                .ok, .stream(type: "text/event-stream") { writer in try await send(to: &writer, after: start) })
        }
    }

    /// Sends events until the reader goes away or this server is asked to stop.
    private func send(to writer: inout any ResponseBodyWriter, after start: Int64) async throws {
        // Says at once that the stream stands, also while nothing happens.
        try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
        var last = start
        while !Task.isShuttingDownGracefully {
            let found: [NumberedEvent]
            do {
                found = try await cancelWhenGracefulShutdown { [last] in
                    try await events.next(after: last, limit: 100, atMost: heartbeat)
                }
            } catch  where Task.isShuttingDownGracefully {
                return
            }
            guard let newest = found.last else {
                if Task.isShuttingDownGracefully { return }
                try await writer.write(ByteBuffer(string: ": still here\n\n"))
                continue
            }
            var bytes: [UInt8] = []
            for event in found {
                bytes += "id: \(event.id)\nevent: \(event.event.kind)\ndata: ".utf8
                bytes += EventResource.shape.json(EventResource(event)).encoded
                bytes += "\n\n".utf8
            }
            try await writer.write(ByteBuffer(bytes: bytes))
            last = newest.id
        }
    }

    private var ofVM: Route {
        Route(
            .get, "/v1/vms/{vm}/events", named: "listVMEvents",
            "What happened to a VM, oldest first. A page can be short, and even empty, before the last one.",
            query: [Self.limit, Self.cursor], answer: .json(Self.page, "A page of events."),
            faults: [.notFound, .invalidField]
        ) { call in
            let vm = try await services.vms.vm(call.value("vm")).vm.id
            let limit = Int(try call.query.optional(Self.limit) ?? 100)
            var last: Int64 = 0
            if let cursor = try call.query.optional(Self.cursor) {
                last = Int64(try ListCursor(parsing: cursor, order: "id").position.id) ?? 0
            }
            var items: [EventResource] = []
            var scanned = 0
            while items.count < limit, scanned < Self.scanMax {
                let found = try await events.events(after: last, limit: 500)
                for event in found where items.count < limit {
                    last = event.id
                    scanned += 1
                    if event.event.vm == vm { items.append(EventResource(event)) }
                }
                if found.count < 500, found.last.map({ $0.id <= last }) ?? true {
                    return .resource(Self.page, Page(items: items, nextCursor: nil))
                }
            }
            let next = ListCursor(order: "id", position: ListQuery.Cursor(value: "", id: String(last)))
            return .resource(Self.page, Page(items: items, nextCursor: next.text))
        }
    }
}
