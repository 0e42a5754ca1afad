import Domain

/// The header of a qcow2 file, read before any program opens the file: a header can name any file of a host.
struct QcowHeader {
    private static let corrupt: UInt64 = 1 << 1
    private static let externalData: UInt64 = 1 << 2
    /// Dirty, corrupt, external data file, compression type, extended L2 entries.
    private static let knownFeatures: UInt64 = 0b11111

    /// Refuses a disk that is not complete in itself.
    static func check(_ head: [UInt8]) throws(Fault) {
        guard head.count >= 72 else { throw .invalidImage(.disk, "is a qcow2 that ends within its header.") }
        let version = UInt32(truncatingIfNeeded: number(head, at: 4, length: 4))
        guard version == 2 || version == 3 else {
            throw .invalidImage(
                .disk, "is a qcow file of version \(version); 2 and 3 are accepted.",
                hint: "Convert it: qemu-img convert -O qcow2 FILE NEW-FILE.")
        }
        guard number(head, at: 8, length: 8) == 0 else {
            throw .invalidImage(
                .disk, "is a qcow2 with a backing file, which would name a file of each host.",
                hint: "Make it complete in itself: qemu-img convert -O qcow2 FILE NEW-FILE.")
        }
        guard number(head, at: 32, length: 4) == 0 else {
            throw .invalidImage(.disk, "is an encrypted qcow2.", hint: "Decrypt it first: qemu-img convert.")
        }
        guard version == 3 else { return }
        guard head.count >= 104 else { throw .invalidImage(.disk, "is a qcow2 that ends within its header.") }
        let features = number(head, at: 72, length: 8)
        guard features & externalData == 0 else {
            throw .invalidImage(
                .disk, "is a qcow2 with an external data file, which would name a file of each host.",
                hint: "Make it complete in itself: qemu-img convert -O qcow2 FILE NEW-FILE.")
        }
        guard features & corrupt == 0 else {
            throw .invalidImage(
                .disk, "is a qcow2 that is marked corrupt.", hint: "Repair it: qemu-img check -r all FILE.")
        }
        guard features & ~knownFeatures == 0 else {
            throw .invalidImage(.disk, "is a qcow2 with features that are not known here.")
        }
    }

    private static func number(_ bytes: [UInt8], at offset: Int, length: Int) -> UInt64 {
        bytes[offset..<(offset + length)].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
