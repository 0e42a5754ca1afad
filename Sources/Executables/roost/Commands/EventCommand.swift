import APIClient
import APIContract
import ArgumentParser

/// Every change, in the order in which it was made.
struct EventCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event", abstract: "Show what happened, or with --follow what happens.",
        discussion: "With -o json, each event is one line.")

    @Flag(help: "Go on with what comes, until interrupted.") var follow = false
    @Option(help: "Only events of this VM.") var vm: Reference?
    @Option(help: ArgumentHelp("Begin after this event.", valueName: "id")) var after: Int64?
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let after, after < 0 { throw ValidationError("--after is the id of an event, 0 or more.") }
    }

    func run() async throws {
        try await Session.run(connection, output) { session in
            let names = output.format == .wide ? await session.names([.hosts, .vms]) : NameBook()
            if let vm, !follow { return try await showPast(of: vm.text, names, session) }
            let vmID = if let vm { try await session.client.vm(vm.text).value.id } else { String?.none }
            // Without --follow, the log ends where the server has nothing more to tell.
            try await session.client.followEvents(
                after: after ?? (follow ? nil : 0), until: follow ? .never : .whenQuiet(milliseconds: 1_000)
            ) { event, text in
                if let vmID, event.vm != vmID { return }
                try show(event, text, names, session.printer)
            }
        }
    }

    private func showPast(of vm: String, _ names: NameBook, _ session: Session) async throws {
        let events = try await session.client.events(of: vm)
        for (event, document) in zip(events.items, events.documents) where event.id > after ?? 0 {
            try show(event, document.text, names, session.printer)
        }
    }

    private func show(_ event: EventResource, _ text: String, _ names: NameBook, _ printer: Printer) throws {
        switch printer.format {
        case .json: try printer.document(text)
        case .yaml: try printer.output.write("---\n" + YAMLText.render(json: text))
        case .name: try printer.line(String(event.id))
        case .table, .wide:
            let cells = EventResource.columns(names).filter { printer.format == .wide || !$0.isWide }
            // Events come one by one: their columns cannot wait for the widest cell.
            try printer.line(cells.map { $0.text(event) }.filter { !$0.isEmpty }.joined(separator: "  "))
        }
    }
}
