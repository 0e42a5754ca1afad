import Domain

/// What Roost writes into a domain: whose it is, and of which epoch. A domain is Roost's if and only if it has this.
struct DomainMetadata: Hashable, Sendable {
    static let namespace = "https://roost.dev/domain/1"

    let vm: VMID
    let epoch: Epoch

    init(vm: VMID, epoch: Epoch) {
        self.vm = vm
        self.epoch = epoch
    }

    /// The metadata in an element as libvirt hands it out, or nil when the element is not exactly one that Roost writes.
    init?(element: String) {
        guard let attributes = Self.attributes(ofElement: element),
            let id = attributes["id"], let vm = VMID(id),
            let text = attributes["epoch"], let number = Int64(text), number > 0, String(number) == text
        else { return nil }
        self.init(vm: vm, epoch: Epoch(number))
    }

    /// The element for a domain's description.
    var element: String {
        "<roost:vm xmlns:roost=\"\(Self.namespace)\" id=\"\(vm)\" epoch=\"\(epoch)\"/>"
    }

    /// The attributes of the one empty element `vm`; nil for anything else, also for an attribute that is there twice.
    private static func attributes(ofElement text: String) -> [String: String]? {
        var rest = Substring(text).trimmingSpace()
        guard rest.take("<") else { return nil }
        let name = rest.takeName()
        guard name == "vm" || name.hasSuffix(":vm") else { return nil }
        var attributes: [String: String] = [:]
        while true {
            let hadSpace = rest.takeSpace()
            if rest.take("/>") { return rest.trimmingSpace().isEmpty ? attributes : nil }
            if rest.take(">") { return rest.isClosing(name) ? attributes : nil }
            let key = rest.takeName()
            guard hadSpace, !key.isEmpty, rest.take("="), let value = rest.takeQuoted(), attributes[key] == nil
            else { return nil }
            attributes[key] = value
        }
    }
}

extension Substring {
    fileprivate mutating func take(_ prefix: String) -> Bool {
        guard hasPrefix(prefix) else { return false }
        removeFirst(prefix.count)
        return true
    }

    fileprivate mutating func takeSpace() -> Bool {
        let space = prefix(while: \.isWhitespace)
        removeFirst(space.count)
        return !space.isEmpty
    }

    fileprivate mutating func takeName() -> String {
        let name = prefix { $0.isLetter || $0.isNumber || $0 == ":" || $0 == "-" || $0 == "_" }
        removeFirst(name.count)
        return String(name)
    }

    /// A quoted value without character references: none of Roost's values has one.
    fileprivate mutating func takeQuoted() -> String? {
        guard let quote = first, quote == "\"" || quote == "'" else { return nil }
        removeFirst()
        let value = prefix { $0 != quote }
        guard value.count < count, !value.contains("&"), !value.contains("<") else { return nil }
        removeFirst(value.count + 1)
        return String(value)
    }

    fileprivate func trimmingSpace() -> Substring {
        let front = drop(while: \.isWhitespace)
        return front.isEmpty ? front : front[...(front.lastIndex { !$0.isWhitespace } ?? front.startIndex)]
    }

    fileprivate func isClosing(_ name: String) -> Bool {
        var rest = trimmingSpace()
        return rest.take("</\(name)") && rest.trimmingSpace() == ">"
    }
}
