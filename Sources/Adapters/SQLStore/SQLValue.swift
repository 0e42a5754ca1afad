import Domain

/// A value as both databases store it. Booleans are 0 and 1, times are milliseconds, identities and JSON are text.
enum SQLValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case real(Double)
    case blob([UInt8])

    init(_ text: String?) { self = text.map(SQLValue.text) ?? .null }

    init(_ number: Int64?) { self = number.map(SQLValue.integer) ?? .null }

    init(_ number: Int) { self = .integer(Int64(number)) }

    init(_ flag: Bool) { self = .integer(flag ? 1 : 0) }

    init(_ time: Timestamp?) { self.init(time?.milliseconds) }

    init(_ epoch: Epoch) { self = .integer(epoch.rawValue) }

    init(_ id: (some Identifier)?) { self.init(id?.rawValue) }

    init(_ label: some RawRepresentable<String>) { self = .text(label.rawValue) }
}
