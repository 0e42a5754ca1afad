package import Domain

/// What users ask of images.
package struct ImageService: Sendable {
    let context: Context
    let files: any ImageFiles
    /// The largest file that may be uploaded, bytes.
    let sizeLimit: Int64

    package init(_ context: Context, files: any ImageFiles, sizeLimit: Int64) {
        self.context = context
        self.files = files
        self.sizeLimit = sizeLimit
    }

    package func create(_ name: String, kind: Image.Kind, commandLine: String, by caller: Caller) async throws -> Image
    {
        let name = try Name.checked(name)
        guard commandLine.utf8.count <= 2000 else {
            throw Fault.invalid("commandLine", "has \(commandLine.utf8.count) bytes; 2000 are allowed.")
        }
        guard kind == .kernel || commandLine.isEmpty else {
            throw Fault.invalid("commandLine", "is for images of kind 'kernel' only.")
        }
        let id = ImageID(from: context.ids)
        return try await context.database.write("image.create") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.resolveImage(earlier) }
            let image = Image(
                id: id, name: name, kind: kind, commandLine: commandLine, createdAt: tx.now, updatedAt: tx.now)
            try tx.insert(image)
            try tx.append(
                Event(kind: "image.created", message: "Image \(name) is created.", principal: caller.principal.name))
            try tx.remember(caller, resource: id.rawValue)
            return image
        }
    }

    /// Stores one of the image's files. A file that is there already is never replaced: VMs may be made from it.
    package func upload(
        _ part: ImageFile.Part, of reference: String, rawDisk: Bool,
        from bytes: any AsyncSequence<[UInt8], any Error> & Sendable, by caller: Caller
    ) async throws -> Image {
        let image = try await context.database.read { tx in try tx.resolveImage(reference) }
        try image.checkAccepts(part)
        let file = try await files.store(part, of: image.id, rawDisk: rawDisk, limit: sizeLimit, from: bytes)
        return try await context.database.write("image.file") { tx in
            let current = try tx.resolveImage(image.id.rawValue)
            try current.checkAccepts(part)
            var next = current
            next.files.append(file)
            let stored = try tx.replace(next, atRevision: current.revision)
            try tx.append(
                Event(
                    kind: "image.file", message: "Image \(image.name) has its \(part.rawValue).",
                    principal: caller.principal.name))
            return stored
        }
    }

    package func image(_ reference: String) async throws -> Image {
        try await context.database.read { tx in try tx.resolveImage(reference) }
    }

    package func images(_ query: ListQuery) async throws -> ListPage<Image> {
        try await context.database.read { tx in try tx.images(query) }
    }

    /// Refused with `image-in-use` while VMs are made from it, destroyed ones that can be recovered included.
    package func delete(_ reference: String, by caller: Caller) async throws {
        let id = try await context.database.write("image.delete") { tx in
            // Once more to the files: the first request may have died before it removed them.
            if let earlier = try tx.remembered(caller) { return ImageID(trusted: earlier) }
            let image = try tx.resolveImage(reference)
            try caller.check(revision: image.revision)
            try tx.remember(caller, resource: image.id.rawValue)
            if let user = try tx.vms(madeFrom: image.id, limit: 1).first {
                throw Fault(
                    .conflict, .imageInUse, "VM \(user.name) is made from image \(image.name).",
                    hint: user.state == .destroyed
                        ? "It is destroyed and can be recovered; give it up with roost vm expunge \(user.id)."
                        : "Delete the VMs first: roost vm list.")
            }
            try tx.remove(image.id)
            try tx.append(
                Event(
                    kind: "image.deleted", message: "Image \(image.name) is deleted.",
                    principal: caller.principal.name))
            return image.id
        }
        try await files.remove(id)
    }
}

extension Image {
    fileprivate func checkAccepts(_ part: ImageFile.Part) throws(Fault) {
        guard kind.parts.contains(part) else {
            throw .invalid(
                "part", "an image of kind '\(kind.rawValue)' has no \(part.rawValue).",
                hint: "It has: \(kind.parts.map(\.rawValue).joined(separator: ", ")).")
        }
        guard !files.contains(where: { $0.part == part }) else {
            throw Fault(
                .conflict, .invalidState, "Image \(name) has its \(part.rawValue) already.",
                hint: "Create another image for another file.")
        }
    }
}
