import APIContract
import ControlPlane
import Domain

/// `/v1/images`.
struct ImageRoutes: Sendable {
    let services: APIServices
    let fileBytesMax: Int64
    private var images: ImageService { services.images }

    private static let list = ListParameters(
        filters: [
            .text("name", upTo: Name.longest, "Only the image of this name."),
            .choice("kind", of: Image.Kind.allCases.map(\.rawValue), "Only images of this kind."),
        ], sorts: ["name", "createdAt", "updatedAt"])
    private static let page = pageShape(of: ImageResource.shape)
    private static let raw = QueryField<Bool>.flag(
        "raw", "The disk is raw and has no partition table; without this, such a file is refused.")
    private static let name = BodyField<String>.name("name", "Unique among images.")
    private static let kind = BodyField<Image.Kind>.choice(
        "kind", isRequired: true, "`kernel` takes a kernel and an initrd, `disk` a disk.")
    private static let commandLine = BodyField<String>.text(
        "commandLine", upTo: 2000, "The kernel's command line, for images with a kernel.")

    var routes: [Route] { [index, create, show, delete, upload] }

    private var index: Route {
        Route(
            .get, "/v1/images", named: "listImages", "Lists images, a page at a time.", query: Self.list.fields,
            answer: .json(Self.page, "A page of images."), faults: [.invalidField]
        ) { call in
            let query = try Self.list.query(call.query)
            let found = try await images.images(query)
            return .resource(
                Self.page,
                Page(
                    items: found.items.map { ImageResource($0) },
                    nextCursor: ListParameters.cursor(found.next, of: query)))
        }
    }

    private var create: Route {
        Route(
            .post, "/v1/images", named: "createImage", "Records an image; its files are uploaded next.",
            body: .json(BodyShape("CreateImageRequest", [Self.name, Self.kind, Self.commandLine])),
            answer: .json(ImageResource.shape, "The new image.", status: 201), faults: [.invalidField, .nameTaken]
        ) { call in
            let image = try await images.create(
                try call.body.require(Self.name), kind: try call.body.require(Self.kind),
                commandLine: try call.body.optional(Self.commandLine) ?? "", by: call.caller)
            return .image(.created, image).located("/v1/images/\(image.id)")
        }
    }

    private var show: Route {
        Route(
            .get, "/v1/images/{image}", named: "showImage", "Shows an image.",
            answer: .json(ImageResource.shape, "The image."), faults: [.notFound]
        ) { call in .image(.ok, try await images.image(call.value("image"))) }
    }

    private var delete: Route {
        Route(
            .delete, "/v1/images/{image}", named: "deleteImage", "Deletes an image and its files.",
            answer: .init(status: 204, summary: "It is gone.", content: .nothing), faults: [.notFound, .imageInUse]
        ) { call in
            try await images.delete(call.value("image"), by: call.caller)
            return Answer(.noContent, .none)
        }
    }

    private var upload: Route {
        Route(
            .put, "/v1/images/{image}/files/{part}", named: "uploadImageFile",
            "Stores one of the image's files (`kernel`, `initrd` or `disk`) after checking what it is.",
            query: [Self.raw], body: .file, answer: .json(ImageResource.shape, "The image."),
            faults: [.notFound, .invalidField, .invalidState, .imageInvalid, .bodyTooLarge]
        ) { call in
            let name = call.value("part")
            guard let part = ImageFile.Part(rawValue: name) else {
                let parts = ImageFile.Part.allCases.map(\.rawValue).joined(separator: ", ")
                throw Fault(
                    .notFound, .notFound, "Images have no file '\(name.prefix(64))'.", hint: "It is one of \(parts).")
            }
            if let size = call.upload.announced, size > fileBytesMax { throw BodyBytes.tooLarge(fileBytesMax) }
            let image = try await images.upload(
                part, of: call.value("image"), rawDisk: try call.query.optional(Self.raw) ?? false, from: call.upload,
                by: call.caller)
            return .image(.ok, image)
        }
    }
}

extension Answer {
    fileprivate static func image(_ status: HTTPStatus, _ image: Image) -> Answer {
        .resource(ImageResource.shape, ImageResource(image), status: status).tagged(image.revision)
    }
}
