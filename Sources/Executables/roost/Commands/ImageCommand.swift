import APIClient
import APIContract
import ArgumentParser

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "What VMs are made from.",
        subcommands: [Create.self, List.self, Show.self, Delete.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an image of a disk, or of a kernel and an initrd.")

        @Argument(help: "The image's name.") var name: Reference
        @Option(help: "A kernel.", completion: .file()) var kernel: String?
        @Option(help: "The initrd that goes with the kernel.", completion: .file()) var initrd: String?
        @Option(help: "The kernel's command line.") var append: String?
        @Option(help: "A disk in qcow2 or raw format.", completion: .file()) var disk: String?
        @Flag(help: "The disk is raw, also if it has no partition table.") var raw = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            switch (kernel, initrd, disk) {
            case (.some, .some, nil):
                if raw { throw ValidationError("--raw says how to read a disk, and there is none.") }
            case (nil, nil, .some):
                if append != nil { throw ValidationError("--append is for a kernel, and there is none.") }
            default:
                throw ValidationError("An image is made of --kernel and --initrd, or of --disk.")
            }
        }

        func run() async throws {
            // Looked at before anything is created.
            let files = try parts.map { part, path in (part, try FileBody(path: path, onProgress: { _ in })) }
            try await Session.run(connection, output) { session in
                let created = try await session.client.createImage(
                    CreateImageRequest(
                        name: name.text, kind: disk == nil ? "kernel" : "disk", commandLine: append))
                do {
                    var latest = created
                    for (part, file) in files { latest = try await upload(file, part, to: created.value.id, session) }
                    try session.printer.done("Created image \(name.text).", json: latest.text, name: name.text)
                } catch let failure as APIFailure {
                    throw await undo(created.value.id, after: CommandFailure(failure), session)
                }
            }
        }

        private var parts: [(part: String, path: String)] {
            [("kernel", kernel), ("initrd", initrd), ("disk", disk)].compactMap { part, path in
                path.map { (part, $0) }
            }
        }

        private func upload(
            _ file: FileBody, _ part: String, to image: String, _ session: Session
        ) async throws -> Answer<ImageResource> {
            let progress = UploadProgress(part: part, size: file.size)
            defer { progress.clear() }
            let watched = try FileBody(path: file.path, onProgress: { progress.show($0) })
            return try await session.client.uploadImageFile(watched, as: part, of: image, isRaw: raw)
        }

        /// Removes the record that has not got its files, and says so if that fails as well.
        private func undo(_ image: String, after failure: CommandFailure, _ session: Session) async -> CommandFailure {
            do {
                try await session.client.deleteImage(image)
                return failure
            } catch {
                return failure.adding(
                    hint: "the image is left incomplete: 'roost image delete \(name.text)' removes it")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List images.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let images = try await session.client.images()
                try session.printer.list(
                    images, columns: ImageResource.columns(Age(serverTime: images.serverTime)), name: \.name)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show all that is known of an image.")

        @Argument(help: "The image's name or id.") var image: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let image = try await session.client.image(image.text)
                try session.printer.one(image, name: image.value.name) { $0.facts() }
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete an image that no VM is made from.")

        @Argument(help: "The image's name or id.") var image: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let text = try await session.client.deleteImage(image.text)
                try session.printer.done("Deleted image \(image.text).", json: text, name: image.text)
            }
        }
    }
}
