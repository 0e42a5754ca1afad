/// What VMs are made from: a kernel with an initrd, or a disk.
package struct Image: Hashable, Sendable {
    package let id: ImageID
    /// Unique among images.
    package var name: String
    package var kind: Kind
    /// The kernel's command line, for images with a kernel.
    package var commandLine: String
    package var files: [ImageFile]
    package var revision: Int
    package let createdAt: Timestamp
    package var updatedAt: Timestamp

    package enum Kind: String, CaseIterable, Sendable, Codable {
        case kernel, disk

        /// The files that an image of this kind has.
        package var parts: [ImageFile.Part] {
            switch self {
            case .kernel: [.kernel, .initrd]
            case .disk: [.disk]
            }
        }
    }

    package init(
        id: ImageID, name: String, kind: Kind, commandLine: String, files: [ImageFile] = [], revision: Int = 1,
        createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.commandLine = commandLine
        self.files = files
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// Whether every part has been uploaded and checked; only then can a VM be made from it.
    package var isReady: Bool { kind.parts.allSatisfy { part in files.contains { $0.part == part } } }
}

/// One checked file of an image.
package struct ImageFile: Hashable, Sendable, Codable {
    package let part: Part
    package let format: Format
    package let size: Int64  // bytes, as stored
    /// The disk's size as the guest sees it, bytes; the same as `size` for what is not a disk.
    package let virtualSize: Int64
    package let sha256: String  // lower-case hex

    package enum Part: String, CaseIterable, Sendable, Codable { case kernel, initrd, disk }
    package enum Format: String, CaseIterable, Sendable, Codable { case qcow2, raw, kernel, initrd }

    package init(part: Part, format: Format, size: Int64, virtualSize: Int64, sha256: String) {
        self.part = part
        self.format = format
        self.size = size
        self.virtualSize = virtualSize
        self.sha256 = sha256
    }
}
