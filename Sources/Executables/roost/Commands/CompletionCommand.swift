import ArgumentParser

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print a script that completes roost's commands in a shell.",
        discussion: """
            bash: roost completion bash > /etc/bash_completion.d/roost
            zsh:  roost completion zsh > "${fpath[1]}/_roost"
            fish: roost completion fish > ~/.config/fish/completions/roost.fish
            """)

    enum Shell: String, CaseIterable, ExpressibleByArgument { case bash, zsh, fish }

    @Argument(help: "The shell: bash, zsh or fish.") var shell: Shell

    func run() throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        try StandardStream.output.write(Roost.completionScript(for: kind) + "\n")
    }
}
