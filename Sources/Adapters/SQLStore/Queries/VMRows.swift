import ControlPlane
import Domain

/// Rows of `vm` as records.
enum VMRows {
    /// Written once.
    static let fixed = ["id", "revision", "created_at"]
    static let changing = [
        "name", "image", "cpus", "memory", "state", "placement_host", "placement_epoch", "wait_reason", "stop_cause",
        "epoch", "last_host", "last_epoch", "destination_host", "destination_epoch", "destination_wait_reason", "pool",
        "domain_seen", "observed_session", "observed_sequence", "operation", "expunge_at", "wish", "labels",
        "host_labels", "affinity", "anti_affinity", "updated_at",
    ]
    /// Which VMs no other may share its name with; the condition of the index on the name, word for word.
    static let ownsName = "state <> 'destroyed' AND state <> 'expunging'"
    static let select = "SELECT \((fixed + changing).joined(separator: ", ")) FROM vm"
    static let insert =
        SQLText.insert(into: "vm", fixed + changing) + " ON CONFLICT (name) WHERE \(ownsName) DO NOTHING"
    static let update = SQLText.update("vm", changing) + " WHERE id = ? AND revision = ?"

    static let list = ListSQL<VM>(
        noun: "VMs", select: select,
        filters: [
            "state": .label("state", VMState.Label.allCases.map(\.rawValue)),
            "host": .reference("placement_host", to: "host", where: "deleted_at IS NULL"),
            "name": .text("name"),
            "image": .reference("image", to: "image"),
            "label": .labels("labels"),
        ],
        sorts: ["name": .text("name"), "createdAt": .time("created_at"), "updatedAt": .time("updated_at")],
        record: record)

    static func fixedValues(_ vm: VM) -> [SQLValue] {
        [SQLValue(vm.id), SQLValue(vm.revision), SQLValue(vm.createdAt)]
    }

    static func changingValues(_ vm: VM, updatedAt: Timestamp) -> [SQLValue] {
        let (placement, migration) = (vm.state.placement, vm.state.move)
        let waiting = migration == nil ? vm.state.waiting : migration?.sourceLost
        return [
            SQLValue(vm.name), SQLValue(vm.image), SQLValue(vm.cpus), SQLValue(vm.memory), SQLValue(vm.state.label),
            SQLValue(placement?.host), SQLValue(placement?.epoch.rawValue), SQLValue(waiting?.rawValue),
            SQLValue(vm.state.cause?.rawValue), SQLValue(vm.epoch), SQLValue(vm.lastPlacement?.host),
            SQLValue(vm.lastPlacement?.epoch.rawValue), SQLValue(migration?.destination.host),
            SQLValue(migration?.destination.epoch.rawValue), SQLValue(migration?.destinationLost?.rawValue),
            SQLValue(vm.pool),
            SQLValue(vm.domainSeen), SQLValue(vm.observed?.session), SQLValue(vm.observed?.sequence),
            SQLValue(vm.operation), SQLValue(vm.expungeAt), SQLValue(vm.wish), SQLValue(vm.labels),
            SQLValue(vm.rules.hostLabels), SQLValue(vm.rules.affinity), SQLValue(vm.rules.antiAffinity),
            SQLValue(updatedAt),
        ]
    }

    static func record(_ row: SQLRow) throws -> VM {
        let read = RowReader("VM", row)
        let state = try state(read)
        return VM(
            id: try read.id("id"), name: try read.text("name"), image: try read.id("image"),
            cpus: try read.int("cpus"), memory: try read.int("memory"), state: state,
            epoch: try read.epoch("epoch"),
            lastPlacement: try placement(read, "last_host", "last_epoch"),
            pool: try read.optionalID("pool"), domainSeen: try read.flag("domain_seen"),
            observed: try observation(read), operation: try read.optionalID("operation"),
            expungeAt: try expungeAt(read, of: state), labels: try read.labels("labels"), rules: try rules(read),
            wish: try read.int("wish"), revision: try read.int("revision"), createdAt: try read.time("created_at"),
            updatedAt: try read.time("updated_at"))
    }

    /// The state that the row's columns say together; columns that contradict each other are refused.
    private static func state(_ read: RowReader) throws -> VMState {
        let label: VMState.Label = try read.label("state")
        let waiting: WaitReason? = try read.optionalLabel("wait_reason")
        let cause: StopCause? = try read.optionalLabel("stop_cause")
        let destination = try placement(read, "destination_host", "destination_epoch")
        guard (label == .migrating) == (destination != nil) else {
            throw read.impossible("its destination does not fit the state '\(label.rawValue)'")
        }
        switch (label, try placement(read, "placement_host", "placement_epoch"), waiting, cause) {
        case (.migrating, let source?, let waiting, nil):
            guard let destination else { throw read.impossible("a move has no destination") }
            return .migrating(
                Move(
                    source: source, destination: destination, sourceLost: waiting,
                    destinationLost: try read.optionalLabel("destination_wait_reason")))
        case (.created, nil, nil, nil): return .created
        case (.starting, let placement?, nil, nil): return .starting(placement)
        case (.running, let placement?, nil, nil): return .running(placement)
        case (.paused, let placement?, nil, nil): return .paused(placement)
        case (.pausing, let placement?, nil, nil): return .pausing(placement)
        case (.resuming, let placement?, nil, nil): return .resuming(placement)
        case (.rebooting, let placement?, nil, nil): return .rebooting(placement)
        case (.stopping, let placement?, let waiting, nil): return .stopping(placement, waiting: waiting)
        case (.stopped, nil, nil, let cause?): return .stopped(cause)
        case (.crashed, nil, nil, let cause?): return .crashed(cause)
        case (.unknown, let placement?, let waiting?, nil): return .unknown(placement, waiting)
        case (.destroying, let placement, let waiting, nil): return .destroying(placement, waiting: waiting)
        case (.destroyed, nil, nil, nil): return .destroyed
        case (.expunging, nil, nil, nil): return .expunging
        case (.created, _, _, _), (.starting, _, _, _), (.running, _, _, _), (.paused, _, _, _),
            (.pausing, _, _, _), (.resuming, _, _, _), (.rebooting, _, _, _), (.stopping, _, _, _), (.stopped, _, _, _),
            (.crashed, _, _, _), (.unknown, _, _, _), (.migrating, _, _, _), (.destroying, _, _, _),
            (.destroyed, _, _, _), (.expunging, _, _, _):
            throw read.impossible("its placement, wait reason or stop cause does not fit the state '\(label.rawValue)'")
        }
    }

    /// A destroyed VM has one, one that is being destroyed may have, and no other.
    private static func expungeAt(_ read: RowReader, of state: VMState) throws -> Timestamp? {
        switch (state.label, try read.optionalTime("expunge_at")) {
        case (.destroyed, let time?), (.destroying, let time?): return time
        case (.destroyed, nil): throw read.impossible("it does not say how long it is kept")
        case (_, nil): return nil
        case (let label, _?): throw read.impossible("it is kept for a time in the state '\(label.rawValue)'")
        }
    }

    private static func rules(_ read: RowReader) throws -> PlacementRules {
        PlacementRules(
            hostLabels: try read.labels("host_labels"), affinity: try read.labels("affinity"),
            antiAffinity: try read.labels("anti_affinity"))
    }

    private static func placement(_ read: RowReader, _ hostColumn: String, _ epochColumn: String) throws -> Placement? {
        let host: HostID? = try read.optionalID(hostColumn)
        switch (host, try read.optionalInteger(epochColumn)) {
        case (nil, nil): return nil
        case (let host?, let epoch?): return Placement(host: host, epoch: Epoch(epoch))
        case (nil, _?), (_?, nil): throw read.impossible("it has half a placement")
        }
    }

    private static func observation(_ read: RowReader) throws -> Observation? {
        switch (try read.optionalInteger("observed_session"), try read.optionalInteger("observed_sequence")) {
        case (nil, nil): return nil
        case (let session?, let sequence?): return Observation(session: session, sequence: sequence)
        case (nil, _?), (_?, nil): throw read.impossible("it has half an observation")
        }
    }
}

extension SQLTransaction: VMTable {
    func vm(_ id: VMID) throws -> VM? {
        try records.query("\(VMRows.select) WHERE id = ?", SQLValue(id)).first.map(VMRows.record)
    }

    func vm(named name: String) throws -> VM? {
        try records.query("\(VMRows.select) WHERE name = ? AND \(VMRows.ownsName)", SQLValue(name)).first
            .map(VMRows.record)
    }

    func destroyedVMs(named name: String, limit: Int) throws -> [VM] {
        try records.query(
            "\(VMRows.select) WHERE name = ? AND state IN ('destroyed', 'expunging') ORDER BY created_at, id LIMIT ?",
            SQLValue(name), SQLValue(limit)
        ).map(VMRows.record)
    }

    func destroyedVMs(keptUntil time: Timestamp, limit: Int) throws -> [VM] {
        try records.query(
            "\(VMRows.select) WHERE state = 'destroyed' AND expunge_at <= ? ORDER BY expunge_at, id LIMIT ?",
            SQLValue(time), SQLValue(limit)
        ).map(VMRows.record)
    }

    func vms(_ query: ListQuery) throws -> ListPage<VM> { try VMRows.list.page(query, on: records) }

    func vms(placedOn host: HostID) throws -> [VM] {
        try records.query(
            "\(VMRows.select) WHERE placement_host = ? OR destination_host = ? ORDER BY created_at, id", SQLValue(host),
            SQLValue(host)
        ).map(VMRows.record)
    }

    func vms(madeFrom image: ImageID, limit: Int) throws -> [VM] {
        try records.query(
            "\(VMRows.select) WHERE image = ? AND state <> 'expunging' ORDER BY created_at, id LIMIT ?",
            SQLValue(image), SQLValue(limit)
        ).map(VMRows.record)
    }

    func insert(_ vm: VM) throws {
        let values = VMRows.fixedValues(vm) + VMRows.changingValues(vm, updatedAt: vm.updatedAt)
        guard try records.execute(VMRows.insert, values) == 1 else { throw Fault.nameTaken("VM", vm.name) }
    }

    func update(_ next: VM, where condition: VMCondition) throws -> VM? {
        var statement = VMRows.update
        var arguments = VMRows.changingValues(next, updatedAt: now)
        arguments += [SQLValue(next.id), SQLValue(condition.revision)]
        if let placement = condition.placement {
            statement += " AND placement_host = ? AND placement_epoch = ?"
            arguments += [SQLValue(placement.host), SQLValue(placement.epoch)]
        }
        do {
            guard try records.execute(statement, arguments) == 1 else { return nil }
        } catch is UniqueViolation {
            throw Fault.nameTaken("VM", next.name)
        }
        var stored = next
        stored.revision = condition.revision + 1
        stored.updatedAt = now
        return stored
    }

    func remove(_ vm: VMID, atRevision revision: Int) throws {
        let removed = try records.execute(
            "DELETE FROM vm WHERE id = ? AND revision = ?", SQLValue(vm), SQLValue(revision))
        guard removed == 1 else { throw LostRace() }
    }
}

extension Fault {
    static func nameTaken(_ noun: String, _ name: String) -> Fault {
        Fault(
            .conflict, .nameTaken, "Another \(noun) has the name '\(name)'.", hint: "Choose another name.",
            field: "name")
    }
}
