import Domain
import HostAgent

/// A domain's description as it is to be at the destination of a move: the new epoch, and the destination's own paths.
///
/// Everything else stays as libvirt says it, for the arriving guest must find the very machine that it left.
struct ArrivalXML {
    private let migration: DomainMigration

    /// The description is not one of Roost's making.
    struct Unsuitable: Error { let reason: String }

    init(_ migration: DomainMigration) { self.migration = migration }

    /// - Parameter migratable: what libvirt hands out as the domain's migratable description.
    func text(from migratable: String) throws(Unsuitable) -> String {
        var text = migratable
        try replaceMetadata(in: &text)
        let landing = migration.landing
        switch landing.boot {
        case .kernel(let kernel, let initrd, _):
            try replace(between: "<kernel>", "</kernel>", in: &text, with: kernel)
            try replace(between: "<initrd>", "</initrd>", in: &text, with: initrd)
        case .disk(let path):
            try replace(between: "<source file='", "'", in: &text, with: path)
        }
        // The serial port's log, and the console that stands for the same port.
        try replace(between: "<source path='", "'", in: &text, with: landing.consoleLog, everywhere: true)
        return text
    }

    /// Roost's own element alone: others may have put theirs beside it.
    private func replaceMetadata(in text: inout String) throws(Unsuitable) {
        guard let mark = text[...].firstRange(of: "=\"\(DomainMetadata.namespace)\""),
            let start = text[..<mark.lowerBound].lastIndex(of: "<"),
            let end = text[mark.upperBound...].firstIndex(of: ">"),
            let metadata = DomainMetadata(element: String(text[start...end])), metadata.vm == migration.vm
        else { throw Unsuitable(reason: "the domain's description does not say which VM it is") }
        text.replaceSubrange(
            start...end, with: DomainMetadata(vm: migration.vm, epoch: migration.arrivalEpoch).element)
    }

    /// Replaces what stands between `opening` and `closing`: the first time, or wherever it stands so.
    private func replace(
        between opening: String, _ closing: String, in text: inout String, with value: String, everywhere: Bool = false
    ) throws(Unsuitable) {
        var result = ""
        var rest = text[...]
        var isFound = false
        while everywhere || !isFound, let start = rest.firstRange(of: opening),
            let end = rest[start.upperBound...].firstRange(of: closing)
        {
            result += rest[..<start.upperBound] + XMLText.escape(value)
            rest = rest[end.lowerBound...]
            isFound = true
        }
        guard isFound else { throw Unsuitable(reason: "the domain's description has no \(opening)") }
        text = result + rest
    }
}

extension Substring {
    fileprivate func firstRange(of needle: String) -> Range<Index>? {
        var start = startIndex
        while let candidate = self[start...].utf8.firstIndex(of: needle.utf8.first ?? 0) {
            if self[candidate...].utf8.starts(with: needle.utf8) {
                return candidate..<utf8.index(candidate, offsetBy: needle.utf8.count)
            }
            start = utf8.index(after: candidate)
        }
        return nil
    }
}
