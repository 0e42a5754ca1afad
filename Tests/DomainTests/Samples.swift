import Domain

let hostA = HostID(trusted: "aaaaaaaa-0000-4000-8000-000000000001")
let hostB = HostID(trusted: "bbbbbbbb-0000-4000-8000-000000000002")
let someVM = VMID(trusted: "cccccccc-0000-4000-8000-000000000003")

/// One of every state, placed on host A with epoch 5 where it has a placement.
let allStates: [VMState] = {
    let here = Placement(host: hostA, epoch: Epoch(5))
    let there = Placement(host: hostB, epoch: Epoch(6))
    return VMState.Label.allCases.flatMap { label -> [VMState] in
        switch label {
        case .created: [.created]
        case .starting: [.starting(here)]
        case .running: [.running(here)]
        case .paused: [.paused(here)]
        case .pausing: [.pausing(here)]
        case .resuming: [.resuming(here)]
        case .rebooting: [.rebooting(here)]
        case .migrating:
            [
                .migrating(Move(source: here, destination: there)),
                .migrating(Move(source: here, destination: there, sourceLost: .hostDisconnected)),
                .migrating(Move(source: here, destination: there, destinationLost: .libvirtUnavailable)),
            ]
        case .stopping: [.stopping(here, waiting: nil), .stopping(here, waiting: .hostDisconnected)]
        case .stopped: [.stopped(.requested)]
        case .crashed: [.crashed(.failed)]
        case .unknown:
            [
                .unknown(here, .hostDisconnected), .unknown(here, .movedAway), .unknown(here, .recordsRestored),
            ]
        case .destroying:
            [
                .destroying(here, waiting: nil), .destroying(here, waiting: .hostDisconnected),
                .destroying(nil, waiting: nil),
            ]
        case .destroyed: [.destroyed]
        case .expunging: [.expunging]
        }
    }
}()

/// One of every event, and of each of its meanings.
let allEvents: [VMEvent] = {
    var events: [VMEvent] = [
        .startGranted(Placement(host: hostB, epoch: Epoch(6))), .started, .startRefused, .stopRequested, .stopGivenUp,
        .hostAnswers, .fenced, .destroyRequested, .destroyed(keptUntil: keptUntil), .recovered, .expungeRequested,
    ]
    events += StopCause.allCases.map { .stopped($0) }
    events += StopCause.allCases.map { .gone($0) }
    events += GuestControl.allCases.map { .controlRequested($0) }
    events += VMEvent.SeenAs.allCases.map { .controlled($0) }
    events += [
        .controlGivenUp, .migrationGranted(Placement(host: hostB, epoch: Epoch(6))),
        .migrationSettled(.arrived(.running)), .migrationSettled(.arrived(.paused)),
        .migrationSettled(.stayed(.running)), .migrationSettled(.stayed(.paused)), .migrationSettled(.departed),
        .migrationSettled(.gone(.foundGone)), .migrationSettled(.gone(.failed)),
        .adopted(Placement(host: hostB, epoch: Epoch(6))), .writtenOff, .destinationLost(.hostDisconnected),
        .destinationAnswers, .destinationFenced,
    ]
    events += VMEvent.SeenAs.allCases.map { .seen($0) }
    events += WaitReason.allCases.map { .hostLost($0) }
    return events
}()

let keptUntil = Timestamp(milliseconds: 1_000_000)

extension VMState {
    var text: String {
        var parts: [String] = []
        if let placement { parts.append("\(placement.host == hostA ? "A" : "B"):\(placement.epoch)") }
        if let destination { parts.append("to=\(destination.host == hostA ? "A" : "B"):\(destination.epoch)") }
        if let lost = move?.destinationLost { parts.append("destination-waiting=\(lost.rawValue)") }
        if let waiting = move == nil ? waiting : move?.sourceLost { parts.append("waiting=\(waiting.rawValue)") }
        if let cause { parts.append("cause=\(cause.rawValue)") }
        return parts.isEmpty ? label.rawValue : "\(label.rawValue)(\(parts.joined(separator: " ")))"
    }
}

extension VMEvent {
    var text: String {
        switch self {
        case .startGranted: "startGranted(B:6)"
        case .started: "started"
        case .startRefused: "startRefused"
        case .stopRequested: "stopRequested"
        case .stopGivenUp: "stopGivenUp"
        case .controlRequested(let control): "controlRequested(\(control.rawValue))"
        case .controlled(let seen): "controlled(\(seen.rawValue))"
        case .controlGivenUp: "controlGivenUp"
        case .stopped(let cause): "stopped(\(cause.rawValue))"
        case .seen(let seen): "seen(\(seen.rawValue))"
        case .gone(let cause): "gone(\(cause.rawValue))"
        case .hostLost(let reason): "hostLost(\(reason.rawValue))"
        case .hostAnswers: "hostAnswers"
        case .fenced: "fenced"
        case .destroyRequested: "destroyRequested"
        case .destroyed: "destroyed"
        case .migrationGranted: "migrationGranted(B:6)"
        case .migrationSettled(.arrived(let seen)): "migrationSettled(arrived \(seen.rawValue))"
        case .migrationSettled(.stayed(let seen)): "migrationSettled(stayed \(seen.rawValue))"
        case .migrationSettled(.departed): "migrationSettled(departed)"
        case .migrationSettled(.gone(let cause)): "migrationSettled(gone \(cause.rawValue))"
        case .adopted: "adopted(B:6)"
        case .writtenOff: "writtenOff"
        case .destinationLost(let reason): "destinationLost(\(reason.rawValue))"
        case .destinationAnswers: "destinationAnswers"
        case .destinationFenced: "destinationFenced"
        case .recovered: "recovered"
        case .expungeRequested: "expungeRequested"
        }
    }
}

func vm(in state: VMState, epoch: Epoch = Epoch(5), domainSeen: Bool = true, operation: JobID? = nil) -> VM {
    VM(
        id: someVM, name: "v", image: ImageID(trusted: "dddddddd-0000-4000-8000-000000000004"), cpus: 1, memory: 128,
        state: state, epoch: max(epoch, state.destination?.epoch ?? .none),
        lastPlacement: Placement(host: hostA, epoch: epoch),
        domainSeen: domainSeen,
        observed: Observation(session: 3, sequence: 10), operation: operation,
        createdAt: Timestamp(milliseconds: 0), updatedAt: Timestamp(milliseconds: 0))
}

func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
}
