import APIClient

/// Prints answers in the form that was asked for. Data goes to standard output, all else to standard error.
struct Printer: Sendable {
    let format: OutputFormat
    let output: StandardStream
    let error: StandardStream

    init(format: OutputFormat, output: StandardStream = .output, error: StandardStream = .error) {
        self.format = format
        self.output = output
        self.error = error
    }

    /// Whether names instead of ids are shown, and so have to be looked up.
    var isForPeople: Bool { format == .table || format == .wide }

    func list<Row>(_ listing: Listing<Row>, columns: [Column<Row>], name: (Row) -> String) throws {
        switch format {
        case .table, .wide:
            try output.write(Table.render(listing.items, columns: columns, isWide: format == .wide))
        case .json, .yaml:
            try document(listing.text)
        case .name:
            try output.write(listing.items.map { name($0) + "\n" }.joined())
        }
    }

    func one<Value>(_ answer: Answer<Value>, name: String, facts: (Value) -> [(name: String, value: String)]) throws {
        switch format {
        case .table, .wide: try output.write(Table.render(facts: facts(answer.value)))
        case .json, .yaml: try document(answer.text)
        case .name: try line(name)
        }
    }

    /// What was done: sentences for people, a line each; the API's answer for programs.
    func done(_ sentences: String..., json text: String, name: String) throws {
        try done(sentences, json: text, name: name)
    }

    func done(_ sentences: [String], json text: String, name: String) throws {
        switch format {
        case .table, .wide: for sentence in sentences { try line(sentence) }
        case .json, .yaml: try document(text)
        case .name: try line(name)
        }
    }

    /// An answer without a body prints nothing.
    func document(_ text: String) throws {
        if text.isEmpty { return }
        switch format {
        case .yaml: try output.write(YAMLText.render(json: text))
        case .table, .wide, .json, .name: try output.write(text.hasSuffix("\n") ? text : text + "\n")
        }
    }

    func line(_ text: String) throws {
        try output.write(TerminalText.visible(text) + "\n")
    }

    /// Something the reader should know that is not part of the data.
    func note(_ text: String) throws {
        try error.write(TerminalText.visible(text) + "\n")
    }
}
