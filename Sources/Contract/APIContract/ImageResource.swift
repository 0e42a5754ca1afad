/// What VMs are made from, as the API shows it.
package struct ImageResource: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    /// `kernel` (a kernel and an initrd) or `disk`.
    package var kind: String
    /// `incomplete` until every file is uploaded and checked, then `ready`.
    package var state: String
    package var commandLine: String
    package var files: [ImageFileResource]
    package var revision: Int
    package var createdAt: String
    package var updatedAt: String

    package init(
        id: String, name: String, kind: String, state: String, commandLine: String, files: [ImageFileResource],
        revision: Int, createdAt: String, updatedAt: String
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.state = state
        self.commandLine = commandLine
        self.files = files
        self.revision = revision
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

package struct ImageFileResource: Codable, Hashable, Sendable {
    /// `kernel`, `initrd` or `disk`.
    package var part: String
    package var format: String
    package var size: Int64  // bytes
    package var virtualSize: Int64  // bytes
    package var sha256: String

    package init(part: String, format: String, size: Int64, virtualSize: Int64, sha256: String) {
        self.part = part
        self.format = format
        self.size = size
        self.virtualSize = virtualSize
        self.sha256 = sha256
    }
}

/// Records an image; its files follow with `PUT /v1/images/{image}/files/{part}`.
package struct CreateImageRequest: Codable, Hashable, Sendable {
    package var name: String
    package var kind: String
    package var commandLine: String?

    package init(name: String, kind: String, commandLine: String? = nil) {
        self.name = name
        self.kind = kind
        self.commandLine = commandLine
    }
}
