import APIContract
import Domain

extension ImageResource {
    static let shape = ResourceShape<ImageResource>(
        "Image",
        [
            .text("id", "The image's id.", format: "uuid") { $0.id },
            .text("name", "Unique among images.") { $0.name },
            .text("kind", "A kernel with an initrd, or a disk.", oneOf: Image.Kind.allCases.map(\.rawValue)) {
                $0.kind
            },
            .text("state", "Whether every file is uploaded and checked.", oneOf: ["incomplete", "ready"]) { $0.state },
            .text("commandLine", "The kernel's command line.") { $0.commandLine },
            .list("files", ImageFileResource.shape) { $0.files },
            .integer("revision", "Rises with every change; also the ETag.") { Int64($0.revision) },
            .text("createdAt", "When it was recorded.", format: "date-time") { $0.createdAt },
            .text("updatedAt", "When it last changed.", format: "date-time") { $0.updatedAt },
        ])
}

extension ImageFileResource {
    static let shape = ResourceShape<ImageFileResource>(
        "ImageFile",
        [
            .text("part", "Which file of the image it is.", oneOf: ImageFile.Part.allCases.map(\.rawValue)) { $0.part },
            .text("format", "What the check found.", oneOf: ImageFile.Format.allCases.map(\.rawValue)) { $0.format },
            .integer("size", "Bytes, as stored.") { $0.size },
            .integer("virtualSize", "Bytes, as a guest sees them.") { $0.virtualSize },
            .text("sha256", "Lower-case hexadecimal digits.") { $0.sha256 },
        ])
}
