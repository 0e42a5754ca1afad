import ControlPlane
import Domain

/// Rows of `sighting`: the sightings' part of `HostTable`.
extension SQLTransaction {
    static let selectSighting = "SELECT vm, host, epoch, state, seen_at FROM sighting"

    func setSightings(_ sightings: [Sighting], on host: HostID) throws {
        try records.execute("DELETE FROM sighting WHERE host = ?", SQLValue(host))
        for sighting in sightings { try put(sighting) }
    }

    func put(_ sighting: Sighting) throws {
        try records.execute(
            """
            INSERT INTO sighting (vm, host, epoch, state, seen_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (vm, host) DO UPDATE SET
                epoch = excluded.epoch, state = excluded.state, seen_at = excluded.seen_at
            """,
            SQLValue(sighting.vm), SQLValue(sighting.host), SQLValue(sighting.epoch), SQLValue(sighting.state),
            SQLValue(sighting.seenAt))
    }

    func removeSighting(of vm: VMID, on host: HostID) throws {
        try records.execute("DELETE FROM sighting WHERE vm = ? AND host = ?", SQLValue(vm), SQLValue(host))
    }

    func sightings(of vm: VMID) throws -> [Sighting] {
        try records.query("\(Self.selectSighting) WHERE vm = ? ORDER BY host", SQLValue(vm)).map(Self.sighting)
    }

    func sightings(on host: HostID) throws -> [Sighting] {
        try records.query("\(Self.selectSighting) WHERE host = ? ORDER BY vm", SQLValue(host)).map(Self.sighting)
    }

    static func sighting(_ row: SQLRow) throws -> Sighting {
        let read = RowReader("sighting of VM", key: "vm", row)
        return Sighting(
            vm: try read.id("vm"), host: try read.id("host"), epoch: try read.epoch("epoch"),
            state: try read.text("state"), seenAt: try read.time("seen_at"))
    }
}
