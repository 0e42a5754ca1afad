/// Makes text from elsewhere harmless to a terminal: a guest's console or a name cannot move the cursor or set a title.
struct TerminalText {
    private enum Place { case text, escape, control, string, stringEscape }

    private var place = Place.text

    /// One line without control characters: each is shown as a space.
    static func visible(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { scalar -> Unicode.Scalar in
            isControl(scalar.value) ? " " : scalar
        }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The bytes without escape sequences and control characters, but for line ends, tabs and backspaces.
    ///
    /// A sequence may be cut between two calls.
    mutating func plain(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var kept: [UInt8] = []
        for byte in bytes {
            switch place {
            case .text:
                if byte == 0x1b {
                    place = .escape
                } else if byte >= 0x20 && byte != 0x7f || [0x08, 0x09, 0x0a, 0x0d].contains(byte) {
                    kept.append(byte)
                }
            case .escape:
                switch byte {
                case UInt8(ascii: "["): place = .control
                case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "X"), UInt8(ascii: "^"), UInt8(ascii: "_"):
                    place = .string
                case 0x20...0x2f, 0x1b: break
                default: place = .text
                }
            case .control:
                if (0x40...0x7e).contains(byte) || byte == 0x0a { place = .text }
            case .string:
                if byte == 0x07 || byte == 0x0a { place = .text } else if byte == 0x1b { place = .stringEscape }
            case .stringEscape:
                place = byte == UInt8(ascii: "\\") ? .text : .string
            }
        }
        return kept
    }

    private static func isControl(_ value: UInt32) -> Bool {
        // C0, DEL, C1, and the marks that reorder text.
        value < 0x20 || (0x7f...0x9f).contains(value) || (0x202a...0x202e).contains(value)
            || (0x2066...0x2069).contains(value)
    }
}
