/// What the server answered: the value, and the text it came in.
package struct Answer<Value: Sendable>: Sendable {
    package let value: Value
    /// The JSON as the server wrote it.
    package let text: String
    /// The server's clock when it answered, in seconds since 1970. Ages count from it: clocks differ.
    package let serverTime: Double?

    package init(value: Value, text: String, serverTime: Double?) {
        self.value = value
        self.text = text
        self.serverTime = serverTime
    }
}

/// The items of a list, gathered from all its pages.
package struct Listing<Item: Sendable>: Sendable {
    package let items: [Item]
    /// The JSON of each item, in the order of `items`.
    package let documents: [JSONValue]
    /// The server's own text, where one page held the whole list.
    package let wholeText: String?
    package let serverTime: Double?
    /// Whether the server has more than was asked for.
    package let hasMore: Bool

    package init(
        items: [Item], documents: [JSONValue], wholeText: String?, serverTime: Double?, hasMore: Bool = false
    ) {
        self.items = items
        self.documents = documents
        self.wholeText = wholeText
        self.serverTime = serverTime
        self.hasMore = hasMore
    }

    /// The list as one JSON page: the server's own text where there is one.
    package var text: String {
        if let wholeText { return wholeText }
        return JSONValue.object([("items", .array(documents)), ("nextCursor", .null)]).text
    }

    package func filtered(_ isIncluded: (Item) -> Bool) -> Listing {
        let kept = zip(items, documents).filter { isIncluded($0.0) }
        if kept.count == items.count { return self }
        return Listing(
            items: kept.map(\.0), documents: kept.map(\.1), wholeText: nil, serverTime: serverTime, hasMore: hasMore)
    }
}
