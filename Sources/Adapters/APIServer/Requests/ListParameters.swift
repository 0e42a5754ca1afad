package import ControlPlane
package import Domain
import Foundation

/// The query parameters of a list: which part of it, in which order, and filters by field.
package struct ListParameters: Sendable {
    private let filters: [QueryField<String>]
    private let order: QueryField<String>

    private static let limit = QueryField<Int64>.integer("limit", in: 1...500, "How many items; 100 by default.")
    private static let cursor = QueryField<String>.text(
        "cursor", upTo: 1024, "Where the page begins: `nextCursor` of the page before.")

    /// `sorts`: the fields that the list can be ordered by; `-` before one turns the order round.
    package init(filters: [QueryField<String>], sorts: [String]) {
        self.filters = filters
        order = .choice(
            "sort", of: sorts.flatMap { [$0, "-\($0)"] }, "The order; `createdAt` by default, newest last.")
    }

    package var fields: [any QueryFieldDescription] { filters + [order, Self.limit, Self.cursor] }

    /// The query that `values` asks for, with `fixed` filters added.
    package func query(_ values: QueryValues, fixed: [String: String] = [:]) throws(Fault) -> ListQuery {
        let sort = try values.optional(order) ?? "createdAt"
        var query = ListQuery(filters: fixed)
        for filter in filters {
            if let value = try values.optional(filter) { query.filters[filter.name] = value }
        }
        query.descending = sort.hasPrefix("-")
        query.sort = query.descending ? String(sort.dropFirst()) : sort
        if let limit = try values.optional(Self.limit) { query.limit = Int(limit) }
        if let cursor = try values.optional(Self.cursor) {
            query.after = try ListCursor(parsing: cursor, order: sort).position
        }
        return query
    }

    /// What `nextCursor` says for a list in `query`'s order.
    package static func cursor(_ next: ListQuery.Cursor?, of query: ListQuery) -> String? {
        next.map { ListCursor(order: query.descending ? "-\(query.sort)" : query.sort, position: $0).text }
    }
}

/// Where a page ends, as callers hand it back. Opaque to them; it names the order, because it means nothing in another.
struct ListCursor {
    let order: String
    let position: ListQuery.Cursor

    init(order: String, position: ListQuery.Cursor) {
        self.order = order
        self.position = position
    }

    init(parsing text: String, order: String) throws(Fault) {
        let base64 = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        let padding = String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        guard let bytes = Data(base64Encoded: base64 + padding), let json = try? JSONParser.parse(Array(bytes)),
            let found = json["o"]?.text, let value = json["v"]?.text, let id = json["i"]?.text
        else {
            throw .invalid("cursor", "is not one of this server's.", hint: "Pass a page's nextCursor unchanged.")
        }
        guard found == order else {
            throw .invalid(
                "cursor", "belongs to a list in another order.", hint: "Keep `sort` the same from page to page.")
        }
        self.init(order: order, position: ListQuery.Cursor(value: value, id: id))
    }

    var text: String {
        let json: JSONValue = ["o": .string(order), "v": .string(position.value), "i": .string(position.id)]
        return Data(json.encoded).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }
}
