package import Domain

/// Moves a VM's record past an event, if the VM is still where the event was decided for.
///
/// `expectedHost` and `expectedEpoch` are a precondition of the write itself: they are evaluated where the row is changed.
package struct ChangeVMState: Sendable {
    package let vm: VMID
    package let event: VMEvent
    package let expectedHost: HostID
    package let expectedEpoch: Epoch
    /// When the fact behind the event was collected, where that is known: what was collected before is stale from then on.
    package let observation: Observation?

    package init(
        vm: VMID, event: VMEvent, expectedHost: HostID, expectedEpoch: Epoch, observation: Observation? = nil
    ) {
        self.vm = vm
        self.event = event
        self.expectedHost = expectedHost
        self.expectedEpoch = expectedEpoch
        self.observation = observation
    }

    /// What happened next at the same place.
    func followed(by event: VMEvent) -> ChangeVMState {
        ChangeVMState(vm: vm, event: event, expectedHost: expectedHost, expectedEpoch: expectedEpoch)
    }

    /// A missed condition, which ends the work. A write that fails is thrown, and tried again.
    package enum Reply: Sendable {
        case applied(VM)
        /// The VM has moved on; the record was left alone.
        case superseded(VM?)
    }
}

extension Transaction {
    /// Carries out `change`, ending `operation` on the VM in the same write if it is the one under way.
    package func apply(_ change: ChangeVMState, ending operation: JobID? = nil) throws -> ChangeVMState.Reply {
        let expected = Placement(host: change.expectedHost, epoch: change.expectedEpoch)
        guard let current = try vm(change.vm) else { return .superseded(nil) }
        // Only computes the successor. Whether it may be written is for the statement below to say.
        guard current.state.placement == expected, var next = try? current.after(change.event) else {
            return .superseded(current)
        }
        // An answer can be written after its host was lost again: whether what it told is still true cannot be seen.
        if let place = next.state.placement, let lost = try reasonUnreachable(place.host) {
            next = try next.after(.hostLost(lost))
        }
        if let seen = change.observation { next.observed = max(seen, next.observed ?? seen) }
        if let operation, next.operation == operation { next.operation = nil }
        let condition = VMCondition(revision: current.revision, placement: expected)
        guard let stored = try update(next, where: condition) else { throw LostRace() }
        try announce(stored, after: current)
        return .applied(stored)
    }

    /// Writes a VM that was decided on at `revision`, and tells of it.
    func replace(_ current: VM, with next: VM, by principal: Principal? = nil) throws -> VM {
        guard let stored = try update(next, where: VMCondition(revision: current.revision)) else { throw LostRace() }
        try announce(stored, after: current, by: principal)
        return stored
    }

    private func announce(_ stored: VM, after earlier: VM, by principal: Principal? = nil) throws {
        guard stored.state != earlier.state else { return }
        // Also what a report tells: a guest that can be asked again, or one whose end leaves room.
        if stored.state.placements != earlier.state.placements || earlier.state.waiting != nil { try wakeDrains() }
        try append(
            Event(
                kind: "vm.\(stored.state.label.rawValue)", vm: stored.id, host: stored.state.placement?.host,
                epoch: stored.epoch, message: "VM \(stored.name) is \(stored.state.sentence).",
                principal: principal?.name ?? "system"))
    }
}

extension VMState {
    /// The state in words, with what it waits for or why it ended.
    package var sentence: String {
        if let waiting { return "\(label.rawValue), waiting for its host (\(waiting.rawValue))" }
        if let cause { return "\(label.rawValue) (\(cause.rawValue))" }
        return label.rawValue
    }
}
