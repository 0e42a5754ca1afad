import APIContract
import ControlPlane

extension NodeResource {
    init(_ view: NodeView) {
        self.init(
            id: view.node.id, name: view.node.name, version: view.node.version,
            startedAt: view.node.startedAt.rfc3339, seenAt: view.node.seenAt.rfc3339,
            lag: view.lag?.components.seconds, hosts: view.sessions.map(\.id.rawValue),
            waitingErrands: view.errands?.count ?? 0, errandsSince: view.errands?.since.rfc3339)
    }

    static let shape = ResourceShape<NodeResource>(
        "Node",
        [
            .text("id", "The process's own id; one that comes back has another.") { $0.id },
            .text("name", "The node's name.") { $0.name },
            .text("version", "Its release.") { $0.version },
            .text("startedAt", "When it joined.", format: "date-time") { $0.startedAt },
            .text("seenAt", "When it last told that it lives.", format: "date-time") { $0.seenAt },
            .optionalInteger("lag", "How many seconds ago; null for a server with a database of its own.") { $0.lag },
            .texts("hosts", "The ids of the hosts whose sessions it holds.") { $0.hosts },
            .integer("waitingErrands", "How many questions of other nodes it has not taken yet.") {
                Int64($0.waitingErrands)
            },
            .optionalText("errandsSince", "When the oldest of those was left.", format: "date-time") {
                $0.errandsSince
            },
        ])
}
