import APIContract
import Domain

extension Problem {
    static let shape = ResourceShape<Problem>(
        "Problem",
        [
            .text("type", "A stable URI of the code.", format: "uri") { $0.type },
            .text("title", "The same for every problem of this code.") { $0.title },
            .integer("status", "The HTTP status.") { Int64($0.status) },
            .text("detail", "What went wrong.") { $0.detail },
            .text("code", "Stable; what programs look at.", oneOf: FaultCode.allCases.map(\.rawValue).sorted()) {
                $0.code
            },
            .optionalText("hint", "What the reader can do.") { $0.hint }.leftOutWhenAbsent,
            .optionalText("field", "The field or parameter that is wrong.") { $0.field }.leftOutWhenAbsent,
        ])
}

extension EventResource {
    static let shape = ResourceShape<EventResource>(
        "Event",
        [
            .integer("id", "Rises in commit order.") { $0.id },
            .text("at", "When it happened.", format: "date-time") { $0.at },
            .text("kind", "For example `vm.stopping`.") { $0.kind },
            .optionalText("vm", "The VM's id.", format: "uuid") { $0.vm },
            .optionalText("host", "The host's id.", format: "uuid") { $0.host },
            .optionalText("job", "The id of the operation or GC job.", format: "uuid") { $0.job },
            .optionalInteger("epoch", "The VM's epoch.") { $0.epoch },
            .text("message", "One sentence for people.") { $0.message },
            .text("principal", "Who asked, or `system`.") { $0.principal },
        ])
}

extension VersionResource {
    static let shape = ResourceShape<VersionResource>(
        "Version",
        [
            .text("version", "The server's version.") { $0.version },
            .text("apiVersion", "The version of this API.") { $0.apiVersion },
        ])
}

/// One page of a list, as the API shows it.
func pageShape<Item>(of item: ResourceShape<Item>) -> ResourceShape<Page<Item>> {
    ResourceShape(
        "\(item.name)Page",
        [
            .list("items", item) { $0.items },
            .optionalText("nextCursor", "What to pass as `cursor` for the next page; null on the last one.") {
                $0.nextCursor
            },
        ])
}
