/// A stored identity: a lower-case UUID in canonical form, typed by what it names.
///
/// Identities are compared, never parsed for meaning. A host's identity is this and its certificate, never its name or
/// address.
package protocol Identifier: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    var rawValue: String { get }
    /// Wraps text that is known to be a canonical UUID, for example because it comes from the database.
    init(trusted rawValue: String)
}

extension Identifier {
    /// The identifier that `text` spells, or nil if it is not a UUID in lower-case canonical form.
    package init?(_ text: String) {
        guard isCanonicalUUID(text) else { return nil }
        self.init(trusted: text)
    }

    /// A fresh identifier.
    package init(from ids: any IDSource) { self.init(trusted: ids.uuid()) }

    package var description: String { rawValue }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let id = Self(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a lower-case UUID"))
        }
        self = id
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// Whether `text` is 8-4-4-4-12 lower-case hexadecimal digits.
package func isCanonicalUUID(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count == 36 else { return false }
    for (index, byte) in bytes.enumerated() {
        switch index {
        case 8, 13, 18, 23: if byte != UInt8(ascii: "-") { return false }
        default:
            let digit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            let letter = (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
            if !digit && !letter { return false }
        }
    }
    return true
}

package struct VMID: Identifier {
    package let rawValue: String
    /// No VM: for work on a whole host.
    package static let nobody = VMID(trusted: "00000000-0000-0000-0000-000000000000")
    package init(trusted rawValue: String) { self.rawValue = rawValue }
}

package struct HostID: Identifier {
    package let rawValue: String
    /// No host: for work on a VM that was never placed anywhere.
    package static let nowhere = HostID(trusted: "00000000-0000-0000-0000-000000000000")
    package init(trusted rawValue: String) { self.rawValue = rawValue }
}

package struct ImageID: Identifier {
    package let rawValue: String
    package init(trusted rawValue: String) { self.rawValue = rawValue }
}

/// Names an operation or a GC job: both are rows of the one job table.
package struct JobID: Identifier {
    package let rawValue: String
    package init(trusted rawValue: String) { self.rawValue = rawValue }

    /// A fresh identifier. Jobs are many and short-lived: those that are written together are found together.
    package init(from ids: any IDSource) { self.init(trusted: ids.orderedUUID()) }
}

/// Names one command to an agent. Sending it again with the same id never runs it twice.
package struct CommandID: Identifier {
    package let rawValue: String
    package init(trusted rawValue: String) { self.rawValue = rawValue }
}

/// Names the storage pool in which a host keeps root disks. Hosts that share a pool report the same id.
package struct PoolID: Identifier {
    package let rawValue: String
    package init(trusted rawValue: String) { self.rawValue = rawValue }
}

/// Where fresh identifiers come from; the simulator passes a seeded one.
package protocol IDSource: Sendable {
    /// A new random UUID, lower-case, in canonical form.
    func uuid() -> String
    /// The same, and mostly greater than those before: nothing may depend on that but speed.
    func orderedUUID() -> String
}

extension IDSource {
    package func orderedUUID() -> String { uuid() }
}
