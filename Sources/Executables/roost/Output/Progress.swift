/// One line on standard error that is written over; nothing at all where standard error is no terminal.
final class Progress {
    private let stream: StandardStream
    private var isShown = false

    init(stream: StandardStream = .error) { self.stream = stream }

    var isVisible: Bool { stream.isTerminal }

    func show(_ text: String) {
        guard isVisible else { return }
        isShown = true
        // A line that wraps could not be written over.
        try? stream.write("\r\u{1b}[K" + TerminalText.visible(String(text.prefix(78))))
    }

    func clear() {
        guard isShown else { return }
        isShown = false
        try? stream.write("\r\u{1b}[K")
    }
}
