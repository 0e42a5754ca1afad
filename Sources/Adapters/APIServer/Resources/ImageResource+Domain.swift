package import APIContract
package import Domain

extension ImageResource {
    package init(_ image: Image) {
        self.init(
            id: image.id.rawValue, name: image.name, kind: image.kind.rawValue,
            state: image.isReady ? "ready" : "incomplete", commandLine: image.commandLine,
            files: image.files.map { ImageFileResource($0) }, revision: image.revision,
            createdAt: image.createdAt.rfc3339, updatedAt: image.updatedAt.rfc3339)
    }
}

extension ImageFileResource {
    init(_ file: ImageFile) {
        self.init(
            part: file.part.rawValue, format: file.format.rawValue, size: file.size, virtualSize: file.virtualSize,
            sha256: file.sha256)
    }
}
