/// What a job does. The names are stored: a renamed kind is an unknown one to every other release.
package enum JobKind: String, CaseIterable, Sendable, Codable {
    case startOperation = "operation.start"
    case stopOperation = "operation.stop"
    case pauseOperation = "operation.pause"
    case resumeOperation = "operation.resume"
    case resetOperation = "operation.reset"
    case rebootOperation = "operation.reboot"
    case migrateOperation = "operation.migrate"
    case destroyOperation = "operation.destroy"
    case recoverOperation = "operation.recover"
    case expungeOperation = "operation.expunge"
    case maintainOperation = "operation.maintain"
    case stopVM = "stop-vm"
    case destroyVM = "destroy-vm"
    case adoptVM = "adopt-vm"
    case deleteVolume = "delete-volume"
    case releasePlacement = "release-placement"
    /// An operation, and a GC job, of a kind that this release does not know. Never written.
    case unknownOperation = "operation.unknown"
    case unknownGC = "unknown"

    package enum Purpose: String, Sendable { case operation, gc }

    /// What all kinds of operations, and no others, begin with.
    package static let operationPrefix = "operation."

    /// The kind of a stored name, whichever release wrote it.
    package init(stored name: String) {
        self = JobKind(rawValue: name) ?? (name.hasPrefix(Self.operationPrefix) ? .unknownOperation : .unknownGC)
    }

    /// The public name of a stored one.
    package static func label(ofStored name: String) -> String {
        name.hasPrefix(operationPrefix) ? String(name.dropFirst(operationPrefix.count)) : name
    }

    package var purpose: Purpose {
        switch self {
        case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
            .migrateOperation, .destroyOperation, .recoverOperation, .expungeOperation, .maintainOperation,
            .unknownOperation:
            .operation
        case .stopVM, .destroyVM, .deleteVolume, .adoptVM, .releasePlacement, .unknownGC: .gc
        }
    }

    /// Whether it is leftover work on a domain, so that a domain which it names is looked after. An unknown kind may be.
    package var isAboutDomain: Bool { purpose == .gc && self != .releasePlacement }

    /// The public name, within its resource.
    package var label: String { Self.label(ofStored: rawValue) }

    /// Whether this release can do it.
    package var isKnown: Bool {
        switch self {
        case .unknownOperation, .unknownGC: false
        case .startOperation, .stopOperation, .pauseOperation, .resumeOperation, .resetOperation, .rebootOperation,
            .migrateOperation, .destroyOperation, .recoverOperation, .expungeOperation, .maintainOperation, .stopVM,
            .destroyVM, .adoptVM, .deleteVolume, .releasePlacement:
            true
        }
    }

    /// What the operation does to a guest that keeps its domain, if that is what it does.
    package var control: GuestControl? {
        switch self {
        case .pauseOperation: .pause
        case .resumeOperation: .resume
        case .resetOperation: .reset
        case .rebootOperation: .reboot
        case .startOperation, .stopOperation, .migrateOperation, .destroyOperation, .recoverOperation,
            .expungeOperation, .maintainOperation, .unknownOperation, .stopVM, .destroyVM, .deleteVolume, .adoptVM,
            .releasePlacement, .unknownGC:
            nil
        }
    }

    package init(_ control: GuestControl) {
        self =
            switch control {
            case .pause: .pauseOperation
            case .resume: .resumeOperation
            case .reset: .resetOperation
            case .reboot: .rebootOperation
            }
    }

    /// Those that this release can do.
    package static let known: [JobKind] = allCases.filter(\.isKnown)
    package static let operations: [JobKind] = known.filter { $0.purpose == .operation }
    package static let gcJobs: [JobKind] = known.filter { $0.purpose == .gc }
}
