import Domain

/// What the beginning of a file says that it is.
enum FileCheck {
    /// Refuses what is no x86 Linux kernel.
    static func kernel(_ head: [UInt8]) throws(Fault) {
        if isLinuxBoot(head) || head.starts(with: [0x7F, 0x45, 0x4C, 0x46]) { return }
        throw .invalidImage(
            .kernel, "is no x86 Linux kernel: it has neither the bzImage header nor the ELF magic.",
            hint: "Upload a kernel such as /boot/vmlinuz-VERSION.")
    }

    /// Refuses what is no initial RAM file system.
    static func initrd(_ head: [UInt8]) throws(Fault) {
        guard !initrdMagics.contains(where: { head.starts(with: $0) }) else { return }
        throw .invalidImage(
            .initrd,
            "is no initrd: it is neither a cpio archive nor compressed with gzip, bzip2, lzma, xz, lz4 or zstd.",
            hint: "Upload an initrd such as /boot/initrd.img-VERSION.")
    }

    private static let initrdMagics: [[UInt8]] = [
        Array("070701".utf8), Array("070702".utf8),
        [0x1F, 0x8B],  // gzip
        Array("BZh".utf8),
        [0x5D, 0x00, 0x00],  // lzma
        [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00],  // xz
        [0x02, 0x21, 0x4C, 0x18],  // lz4, as Linux packs it
        [0x04, 0x22, 0x4D, 0x18],  // lz4, as a frame
        [0x28, 0xB5, 0x2F, 0xFD],  // zstd
    ]

    /// The format of a disk, from its own magic and never by probing on: a probe that finds another format would follow
    /// what the file says to other files.
    static func diskFormat(_ head: [UInt8], size: Int64, rawDisk: Bool) throws(Fault) -> ImageFile.Format {
        if head.starts(with: [0x51, 0x46, 0x49, 0xFB]) { return .qcow2 }
        if let format = otherFormats.first(where: { head.starts(with: $0.magic) })?.name {
            throw .invalidImage(
                .disk, "has the format \(format); qcow2 and raw are accepted.",
                hint: "Convert it: qemu-img convert -O qcow2 FILE NEW-FILE.")
        }
        guard size % 512 == 0 else {
            throw .invalidImage(.disk, "is no qcow2, and no raw disk either: its size is not a multiple of 512 bytes.")
        }
        guard rawDisk || hasPartitionTable(head) else {
            throw .invalidImage(
                .disk, "is no qcow2, and no raw disk with a partition table (MBR or GPT).",
                hint: "If it is a raw disk without one, say so: --raw (?raw=true).")
        }
        return .raw
    }

    private static let otherFormats: [(name: String, magic: [UInt8])] = [
        ("vmdk", Array("KDMV".utf8)), ("vmdk", Array("COWD".utf8)), ("vmdk", Array("# Disk DescriptorFile".utf8)),
        ("vhdx", Array("vhdxfile".utf8)), ("vpc", Array("conectix".utf8)), ("vdi", Array("<<< ".utf8)),
        ("qed", [0x51, 0x45, 0x44, 0x00]), ("parallels", Array("WithoutFreeSpace".utf8)),
        ("parallels", Array("WithouFreSpacExt".utf8)), ("luks", Array("LUKS".utf8)),
        ("gzip", [0x1F, 0x8B]), ("xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]), ("zstd", [0x28, 0xB5, 0x2F, 0xFD]),
    ]

    private static func hasPartitionTable(_ head: [UInt8]) -> Bool {
        if head.count >= 520, head[512..<520].elementsEqual("EFI PART".utf8) { return true }
        if head.count >= 4104, head[4096..<4104].elementsEqual("EFI PART".utf8) { return true }
        // A kernel ends its first sector like a boot sector, too.
        guard head.count >= 512, head[510] == 0x55, head[511] == 0xAA, !isLinuxBoot(head) else { return false }
        let entries = (0..<4).map { head[(446 + $0 * 16)..<(462 + $0 * 16)] }
        let areWellFormed = entries.allSatisfy { ($0.first ?? 0) & 0x7F == 0 }
        return areWellFormed && entries.contains { $0[$0.startIndex + 4] != 0 }
    }

    private static func isLinuxBoot(_ head: [UInt8]) -> Bool {
        head.count >= 0x206 && head[0x202..<0x206].elementsEqual("HdrS".utf8)
    }
}

extension Fault {
    static func invalidImage(_ part: ImageFile.Part, _ what: String, hint: String? = nil) -> Fault {
        Fault(.unprocessable, .imageInvalid, "The file for the image's \(part.rawValue) \(what)", hint: hint)
    }
}
