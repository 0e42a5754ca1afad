/// A per-VM counter. Each start and each move grants a new one; it never shrinks and none is used again.
package struct Epoch: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    package let rawValue: Int64

    package init(_ rawValue: Int64) { self.rawValue = rawValue }

    /// No start has been granted yet.
    package static let none = Epoch(0)

    package var next: Epoch { Epoch(rawValue + 1) }
    package var description: String { String(rawValue) }
    package static func < (left: Epoch, right: Epoch) -> Bool { left.rawValue < right.rawValue }

    package init(from decoder: any Decoder) throws {
        rawValue = try decoder.singleValueContainer().decode(Int64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// The only place where a VM's domain may exist.
package struct Placement: Hashable, Sendable, Codable {
    package let host: HostID
    package let epoch: Epoch

    package init(host: HostID, epoch: Epoch) {
        self.host = host
        self.epoch = epoch
    }
}

/// How hard a stop is. Ordered: a later one is the stronger wish.
package enum StopMode: String, CaseIterable, Sendable, Codable, Comparable {
    /// Asks the guest (ACPI) and, when the time is up, cuts the power.
    case grace
    /// Cuts the power at once.
    case cold
    /// Cuts the power and also kills a QEMU that libvirt cannot end.
    case force

    package static func < (left: StopMode, right: StopMode) -> Bool { left.strength < right.strength }

    private var strength: Int {
        switch self {
        case .grace: 0
        case .cold: 1
        case .force: 2
        }
    }
}
