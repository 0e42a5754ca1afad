import ControlPlane
import Domain

/// Rows of `host` as records.
enum HostRows {
    /// Written once.
    static let fixed = ["id", "revision", "created_at"]
    static let changing = [
        "name", "state", "connection", "session", "libvirt_answers", "boot_id", "facts", "last_seen_at", "fenced_at",
        "fence_proof", "deleted_at", "labels", "node", "highest_epoch", "awaited", "updated_at",
    ]
    static let select = "SELECT \((fixed + changing).joined(separator: ", ")) FROM host"
    static let insert =
        SQLText.insert(into: "host", fixed + changing) + " ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING"
    static let update = SQLText.update("host", changing) + " WHERE id = ? AND revision = ?"

    static let list = ListSQL<Host>(
        noun: "hosts", select: select, always: "deleted_at IS NULL",
        filters: [
            "state": .label("state", Host.AdminState.allCases.map(\.rawValue)),
            "connection": .label("connection", Host.Connection.allCases.map(\.rawValue)),
            "name": .text("name"),
            "label": .labels("labels"),
        ],
        sorts: ["name": .text("name"), "createdAt": .time("created_at"), "updatedAt": .time("updated_at")],
        record: record)

    static func fixedValues(_ host: Host) -> [SQLValue] {
        [SQLValue(host.id), SQLValue(host.revision), SQLValue(host.createdAt)]
    }

    static func changingValues(_ host: Host, updatedAt: Timestamp) throws -> [SQLValue] {
        [
            SQLValue(host.name), SQLValue(host.state), SQLValue(host.connection), SQLValue(host.session),
            SQLValue(host.libvirtAnswers), SQLValue(host.bootID), SQLValue(try host.facts.map(JSONText.encode)),
            SQLValue(host.lastSeenAt), SQLValue(host.fencedAt), SQLValue(host.fenceProof), SQLValue(host.deletedAt),
            SQLValue(host.labels), SQLValue(host.node), SQLValue(host.highestEpoch), SQLValue(host.isAwaited),
            SQLValue(updatedAt),
        ]
    }

    static func record(_ row: SQLRow) throws -> Host {
        let read = RowReader("host", row)
        return Host(
            id: try read.id("id"), name: try read.text("name"), state: try read.label("state"),
            labels: try read.labels("labels"), connection: try read.label("connection"),
            node: try read.optionalText("node"),
            session: try read.integer("session"),
            libvirtAnswers: try read.flag("libvirt_answers"), bootID: try read.optionalText("boot_id"),
            facts: try read.optionalJSON("facts"), lastSeenAt: try read.optionalTime("last_seen_at"),
            highestEpoch: try read.epoch("highest_epoch"), isAwaited: try read.flag("awaited"),
            fencedAt: try read.optionalTime("fenced_at"), fenceProof: try read.optionalText("fence_proof"),
            deletedAt: try read.optionalTime("deleted_at"), revision: try read.int("revision"),
            createdAt: try read.time("created_at"), updatedAt: try read.time("updated_at"))
    }
}

extension SQLTransaction: HostTable {
    func host(_ id: HostID) throws -> Host? {
        try records.query("\(HostRows.select) WHERE id = ?", SQLValue(id)).first.map(HostRows.record)
    }

    func host(named name: String) throws -> Host? {
        try records.query("\(HostRows.select) WHERE name = ? AND deleted_at IS NULL", SQLValue(name)).first
            .map(HostRows.record)
    }

    func hosts(_ query: ListQuery) throws -> ListPage<Host> { try HostRows.list.page(query, on: records) }

    func allHosts() throws -> [Host] {
        try records.query("\(HostRows.select) WHERE deleted_at IS NULL ORDER BY name, id").map(HostRows.record)
    }

    func insert(_ host: Host) throws {
        let values = HostRows.fixedValues(host) + (try HostRows.changingValues(host, updatedAt: host.updatedAt))
        guard try records.execute(HostRows.insert, values) == 1 else { throw Fault.nameTaken("host", host.name) }
    }

    func replace(_ next: Host, atRevision revision: Int) throws -> Host {
        let arguments = try HostRows.changingValues(next, updatedAt: now) + [SQLValue(next.id), SQLValue(revision)]
        do {
            guard try records.execute(HostRows.update, arguments) == 1 else { throw LostRace() }
        } catch is UniqueViolation {
            throw Fault.nameTaken("host", next.name)
        }
        var stored = next
        stored.revision = revision + 1
        stored.updatedAt = now
        return stored
    }

    func allocated(on host: HostID) throws -> Allocation {
        let rows = try records.query(
            """
            SELECT CAST(COALESCE(SUM(cpus), 0) AS BIGINT) AS cpus, CAST(COALESCE(SUM(memory), 0) AS BIGINT) AS memory
            FROM vm WHERE placement_host = ? OR destination_host = ?
            """, SQLValue(host), SQLValue(host))
        guard let row = rows.first else { return Allocation(cpus: 0, memory: 0) }
        let read = RowReader("allocation", row)
        return Allocation(cpus: try read.int("cpus"), memory: try read.int("memory"))
    }
}
