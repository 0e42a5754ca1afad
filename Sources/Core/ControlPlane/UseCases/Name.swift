package import Domain

/// The rules for names of hosts, VMs and images: those of a DNS label (RFC 1123), so that a name is good everywhere.
package enum Name {
    package static let longest = 63

    /// Returns `name`, or throws a fault that names `field` and the rule.
    package static func checked(_ name: String, field: String = "name") throws(Fault) -> String {
        let bytes = Array(name.utf8)
        guard let first = bytes.first, let last = bytes.last else {
            throw .invalid(field, "must not be empty.", hint: rule)
        }
        guard bytes.count <= longest else {
            throw .invalid(field, "has \(bytes.count) characters; \(longest) are allowed.", hint: rule)
        }
        guard bytes.allSatisfy({ isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }), isLetterOrDigit(first),
            isLetterOrDigit(last)
        else { throw .invalid(field, "has a character that is not allowed.", hint: rule) }
        guard !isCanonicalUUID(name) else {
            throw .invalid(field, "must not look like an id (a UUID).", hint: "Choose another name.")
        }
        return name
    }

    private static let rule =
        "Use 1 to \(longest) lower-case letters, digits and hyphens, with a letter or digit first and last."

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
