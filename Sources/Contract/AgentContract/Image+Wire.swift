package import Domain

extension WireImageSource {
    init(_ source: ImageSource) {
        self.init()
        id = source.id.rawValue
        kind =
            switch source.kind {
            case .kernel: .kernel
            case .disk: .disk
            }
        commandLine = source.commandLine
        files = source.files.map(WireImageFile.init)
    }
}

extension ImageSource {
    init(reading wire: WireImageSource) throws(UnreadableMessage) {
        let kind: Image.Kind
        switch wire.kind {
        case .kernel: kind = .kernel
        case .disk: kind = .disk
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("image kind \(wire.kind.rawValue)")
        }
        var files: [ImageFile] = []
        for file in wire.files { files.append(try ImageFile(reading: file)) }
        self.init(id: try readID(wire.id, "the image"), kind: kind, commandLine: wire.commandLine, files: files)
    }
}

extension WireImageFile {
    init(_ file: ImageFile) {
        self.init()
        part = WireImagePart(file.part)
        format =
            switch file.format {
            case .qcow2: .qcow2
            case .raw: .raw
            case .kernel: .kernel
            case .initrd: .initrd
            }
        size = file.size
        virtualSize = file.virtualSize
        sha256 = file.sha256
    }
}

extension ImageFile {
    init(reading wire: WireImageFile) throws(UnreadableMessage) {
        let format: ImageFile.Format
        switch wire.format {
        case .qcow2: format = .qcow2
        case .raw: format = .raw
        case .kernel: format = .kernel
        case .initrd: format = .initrd
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("image format \(wire.format.rawValue)")
        }
        guard wire.size >= 0, wire.virtualSize >= 0 else { throw UnreadableMessage("a negative file size") }
        self.init(
            part: try ImageFile.Part(reading: wire.part), format: format, size: wire.size,
            virtualSize: wire.virtualSize, sha256: wire.sha256)
    }
}

extension WireImagePart {
    package init(_ part: ImageFile.Part) {
        self =
            switch part {
            case .kernel: .kernel
            case .initrd: .initrd
            case .disk: .disk
            }
    }
}

extension ImageFile.Part {
    package init(reading wire: WireImagePart) throws(UnreadableMessage) {
        switch wire {
        case .kernel: self = .kernel
        case .initrd: self = .initrd
        case .disk: self = .disk
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("image part \(wire.rawValue)")
        }
    }
}
