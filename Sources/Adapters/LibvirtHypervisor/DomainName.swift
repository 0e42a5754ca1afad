import Domain

/// The name that a domain has in `virsh list`: readable, and unique on a host.
enum DomainName {
    /// The VM's name and the first part of its id: `web-1-3f2b9c1e`.
    ///
    /// libvirt derives file names from it, and `virsh` reads a leading dash as an option: what is not an ASCII letter,
    /// digit, dot, dash or underscore becomes a dash.
    static func make(vmName: String, vm: VMID) -> String {
        let safe = String(vmName.unicodeScalars.prefix(longest).map { isSafe($0) ? Character($0) : "-" })
        let trimmed = safe.drop { !$0.isLetter && !$0.isNumber }
        return "\(trimmed.isEmpty ? "vm" : String(trimmed))-\(vm.rawValue.prefix(8))"
    }

    private static let longest = 48

    private static func isSafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "-", "_": true
        default: false
        }
    }
}
