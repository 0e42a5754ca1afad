import Domain

/// What the store says of itself, whichever database it is on.
enum StoreFault {
    static let closed = Fault(
        .unavailable, .storeUnavailable, "The server is going down and its database is closed.",
        hint: "Try again when the server is up.")

    static let commitUnknown = Fault(
        .unavailable, .storeUnavailable,
        "The database was lost while it kept a change, and it is not known whether the change is kept.",
        hint: "Look at the record when the database is back, before trying again.")

    static let keepsChanging = Fault(
        .unavailable, .storeUnavailable, "The record kept changing while this was done.", hint: "Try again.")

    static let duplicate = Fault(
        .bug, .internalError, "A record with this identity is there already.",
        hint: "Report this, with the server's log.")

    static let contradiction = Fault(
        .bug, .internalError, "A change was refused, because the record would contradict itself.",
        hint: "Report this, with the server's log.")

    static let writeInRead = Fault(
        .bug, .internalError, "Something that only reads tried to write.", hint: "Report this, with the server's log.")

    static let unforeseen = Fault(
        .bug, .internalError, "The database refused what it was asked.", hint: "Report this, with the server's log.")
}
