extension VMState {
    /// The state that follows `event`. Pure and total: every pair either has a successor or is refused by name.
    package func after(_ event: VMEvent) throws(IllegalTransition) -> VMState {
        switch self {
        case .created, .stopped, .crashed: try afterAtRest(event)
        case .starting(let placement): try afterStarting(event, placement)
        case .running(let placement), .paused(let placement): try afterUp(event, placement)
        case .pausing(let placement), .resuming(let placement), .rebooting(let placement):
            try afterControl(event, placement)
        case .migrating(let migration): try afterMigrating(event, migration)
        case .stopping(let placement, let waiting): try afterStopping(event, placement, waiting)
        case .unknown(let placement, let reason): try afterUnknown(event, placement, reason)
        case .destroying(let placement, let waiting): try afterDestroying(event, placement, waiting)
        case .destroyed: try afterDestroyed(event)
        // Nothing but the removal of its record comes after it.
        case .expunging: throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterAtRest(_ event: VMEvent) throws(IllegalTransition) -> VMState {
        switch event {
        case .startGranted(let placement): .starting(placement)
        case .destroyRequested: .destroying(nil, waiting: nil)
        case .adopted(let placement): .running(placement)
        // Nothing runs; the wish takes note of the crash.
        case .stopRequested where label == .crashed: .stopped(cause ?? .failed)
        case .started, .startRefused, .stopRequested, .stopGivenUp, .controlRequested, .controlled, .controlGivenUp,
            .stopped, .seen, .gone, .hostLost, .hostAnswers, .fenced, .destroyed, .migrationGranted, .migrationSettled,
            .destinationLost, .destinationAnswers, .destinationFenced, .writtenOff, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterStarting(_ event: VMEvent, _ placement: Placement) throws(IllegalTransition) -> VMState {
        switch event {
        case .started: .running(placement)
        case .seen(let seen): .up(seen, placement)
        case .startRefused: .stopped(.startFailed)
        case .gone(let cause): .down(cause, placement)
        case .stopped(let cause): .stopped(cause)
        case .stopRequested: .stopping(placement, waiting: nil)
        case .hostLost(let reason): .unknown(placement, reason)
        case .hostAnswers: self
        case .fenced: .stopped(.hostFenced)
        case .destroyRequested: .destroying(placement, waiting: nil)
        case .startGranted, .stopGivenUp, .controlRequested, .controlled, .controlGivenUp, .destroyed,
            .migrationGranted, .migrationSettled, .destinationLost, .destinationAnswers, .destinationFenced, .adopted,
            .writtenOff, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterUp(_ event: VMEvent, _ placement: Placement) throws(IllegalTransition) -> VMState {
        switch event {
        // A report of the domain can overtake the start's own answer, and may know better that it is paused.
        case .started, .hostAnswers, .controlGivenUp: self
        case .seen(let seen), .controlled(let seen): .up(seen, placement)
        case .controlRequested(let control): try afterRequest(control, event, placement)
        case .migrationGranted(let destination): .migrating(Move(source: placement, destination: destination))
        case .gone(let cause): .down(cause, placement)
        case .stopped(let cause): .stopped(cause)
        case .stopRequested: .stopping(placement, waiting: nil)
        case .hostLost(let reason): .unknown(placement, reason)
        case .fenced: .stopped(.hostFenced)
        case .destroyRequested: .destroying(placement, waiting: nil)
        case .startGranted, .startRefused, .stopGivenUp, .destroyed, .migrationSettled, .destinationLost,
            .destinationAnswers, .destinationFenced, .adopted, .writtenOff, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterMigrating(_ event: VMEvent, _ migration: Move) throws(IllegalTransition) -> VMState {
        var next = migration
        switch event {
        case .migrationSettled(let end):
            switch end {
            case .arrived(let seen): return .up(seen, migration.destination)
            case .stayed(let seen): return .up(seen, migration.source)
            case .departed: return .starting(migration.destination)
            case .gone(let cause): return .down(cause, migration.source)
            }
        // What is left of the guest is at the other end, if anywhere; its host is asked.
        case .fenced: return .unknown(migration.destination, migration.destinationLost ?? .outcomeUnknown)
        case .destinationFenced: return .unknown(migration.source, migration.sourceLost ?? .outcomeUnknown)
        case .started, .controlled, .controlGivenUp: return self
        case .seen, .hostAnswers: next.sourceLost = nil
        case .hostLost(let reason): next.sourceLost = reason
        case .destinationLost(let reason): next.destinationLost = reason
        case .destinationAnswers: next.destinationLost = nil
        // That one end has no domain says nothing of the other, and a wish to end it would not know where.
        case .gone, .stopped, .startGranted, .startRefused, .stopRequested, .stopGivenUp, .controlRequested,
            .destroyRequested, .destroyed, .migrationGranted, .adopted, .writtenOff, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
        return .migrating(next)
    }

    private func afterRequest(
        _ control: GuestControl, _ event: VMEvent, _ placement: Placement
    ) throws(IllegalTransition) -> VMState {
        let isPaused = label == .paused
        return switch control {
        case .pause where !isPaused: .pausing(placement)
        case .resume where isPaused: .resuming(placement)
        case .reset where !isPaused, .reboot where !isPaused: .rebooting(placement)
        case .pause, .resume, .reset, .reboot: throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterControl(_ event: VMEvent, _ placement: Placement) throws(IllegalTransition) -> VMState {
        switch event {
        // Reports cannot tell what was before the command from what came of it: its answer decides.
        case .started, .seen, .hostAnswers: self
        case .controlled(let seen): .up(seen, placement)
        case .controlGivenUp: .unknown(placement, .outcomeUnknown)
        case .gone(let cause): .down(cause, placement)
        case .stopped(let cause): .stopped(cause)
        case .stopRequested: .stopping(placement, waiting: nil)
        case .hostLost(let reason): .unknown(placement, reason)
        case .fenced: .stopped(.hostFenced)
        case .destroyRequested: .destroying(placement, waiting: nil)
        case .startGranted, .startRefused, .stopGivenUp, .controlRequested, .destroyed, .migrationGranted,
            .migrationSettled, .destinationLost, .destinationAnswers, .destinationFenced, .adopted, .writtenOff,
            .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterStopping(
        _ event: VMEvent, _ placement: Placement, _ waiting: WaitReason?
    ) throws(IllegalTransition) -> VMState {
        switch event {
        // The later wish wins: neither the answer of an earlier start nor a report revives it.
        case .started, .seen, .hostAnswers: .stopping(placement, waiting: nil)
        case .startRefused: .stopped(.startFailed)
        case .stopped(let cause): .stopped(cause)
        case .gone(.movedAway): .unknown(placement, .movedAway)
        case .gone(let cause): .stopped(cause.whileStopping)
        case .stopRequested: .stopping(placement, waiting: waiting)
        case .stopGivenUp: .unknown(placement, waiting ?? .outcomeUnknown)
        case .controlled, .controlGivenUp: self
        case .hostLost(let reason): .stopping(placement, waiting: reason)
        case .fenced: .stopped(.hostFenced)
        case .destroyRequested: .destroying(placement, waiting: waiting)
        case .startGranted, .controlRequested, .destroyed, .migrationGranted, .migrationSettled, .destinationLost,
            .destinationAnswers, .destinationFenced, .adopted, .writtenOff, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    /// The domain was moved away behind Roost's back, or may have been since the records were copied: nothing that its
    /// former host says or is proven to be settles where it runs now.
    private func afterAstray(_ event: VMEvent, _ placement: Placement) throws(IllegalTransition) -> VMState {
        switch event {
        case .seen(let seen): .up(seen, placement)
        case .adopted(let found): .running(found)
        case .writtenOff: .stopped(.writtenOff)
        case .gone, .hostLost, .hostAnswers, .fenced, .started, .controlled, .controlGivenUp: self
        case .startGranted, .startRefused, .stopRequested, .stopGivenUp, .stopped, .controlRequested,
            .destroyRequested, .destroyed, .migrationGranted, .migrationSettled, .destinationLost,
            .destinationAnswers, .destinationFenced, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterUnknown(
        _ event: VMEvent, _ placement: Placement, _ reason: WaitReason
    ) throws(IllegalTransition) -> VMState {
        if reason.isAstray { return try afterAstray(event, placement) }
        return switch event {
        case .started: .running(placement)
        case .seen(let seen), .controlled(let seen): .up(seen, placement)
        case .controlGivenUp: self
        case .startRefused: .stopped(.startFailed)
        case .gone(let cause): .down(cause, placement)
        case .stopped(let cause): .stopped(cause)
        case .stopRequested: .stopping(placement, waiting: reason)
        case .hostLost(let newer): .unknown(placement, newer)
        // That the host can be asked is not yet an answer about this domain.
        case .hostAnswers: .unknown(placement, .outcomeUnknown)
        case .fenced: .stopped(.hostFenced)
        case .destroyRequested: .destroying(placement, waiting: reason)
        case .adopted(let found): .running(found)
        case .startGranted, .stopGivenUp, .controlRequested, .destroyed, .migrationGranted, .migrationSettled,
            .destinationLost, .destinationAnswers, .destinationFenced, .writtenOff, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterDestroying(
        _ event: VMEvent, _ placement: Placement?, _ waiting: WaitReason?
    ) throws(IllegalTransition) -> VMState {
        switch event {
        case .started, .seen, .hostAnswers: .destroying(placement, waiting: nil)
        case .gone(.movedAway): placement.map { .unknown($0, .movedAway) } ?? self
        // The domain is gone: nothing is waited for but the rest of the work.
        case .startRefused, .stopped, .gone, .fenced: .destroying(nil, waiting: nil)
        case .stopRequested, .destroyRequested, .controlled, .controlGivenUp: self
        case .hostLost(let reason): .destroying(placement, waiting: reason)
        case .destroyed: .destroyed
        case .startGranted, .stopGivenUp, .controlRequested, .migrationGranted, .migrationSettled, .destinationLost,
            .destinationAnswers, .destinationFenced, .adopted, .writtenOff, .recovered, .expungeRequested:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private func afterDestroyed(_ event: VMEvent) throws(IllegalTransition) -> VMState {
        switch event {
        // What ended its domain, if it had one, was the destroy.
        case .recovered: .stopped(.requested)
        case .expungeRequested: .expunging
        case .startGranted, .started, .startRefused, .stopRequested, .stopGivenUp, .controlRequested, .controlled,
            .controlGivenUp, .stopped, .seen, .gone, .hostLost, .hostAnswers, .fenced, .destroyRequested, .destroyed,
            .migrationGranted, .migrationSettled, .destinationLost, .destinationAnswers, .destinationFenced, .adopted,
            .writtenOff:
            throw IllegalTransition(state: self, event: event)
        }
    }

    private static func up(_ seen: VMEvent.SeenAs, _ placement: Placement) -> VMState {
        switch seen {
        case .running: .running(placement)
        case .paused: .paused(placement)
        }
    }

    /// The state of a VM whose domain ended without Roost having asked for it.
    private static func down(_ cause: StopCause, _ placement: Placement) -> VMState {
        switch cause {
        case .failed: .crashed(cause)
        case .movedAway: .unknown(placement, .movedAway)
        case .requested, .guestShutdown, .domainDestroyed, .foundGone, .hostRebooted, .hostFenced, .startFailed,
            .writtenOff:
            .stopped(cause)
        }
    }
}

extension WaitReason {
    /// Whether the domain may be on any host, rather than on the one that the record names.
    package var isAstray: Bool {
        switch self {
        case .movedAway, .recordsRestored: true
        case .hostDisconnected, .libvirtUnavailable, .outcomeUnknown, .hostDeleted: false
        }
    }
}

extension StopCause {
    /// What a report's cause means while Roost is stopping the VM: libvirt announces the end before the stop's own answer.
    fileprivate var whileStopping: StopCause {
        switch self {
        case .requested, .guestShutdown, .domainDestroyed: .requested
        case .failed, .foundGone, .hostRebooted, .hostFenced, .startFailed, .movedAway, .writtenOff: self
        }
    }
}
