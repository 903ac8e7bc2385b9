internal import FXSystem

/// Where a secret is; itself it is nowhere in the configuration.
enum SecretSource: Sendable, Equatable {
    case file(path: String)
    /// A program and its arguments, or one text for /bin/sh; it prints the secret.
    case command([String], isShell: Bool)
    case variable(String)
    /// A file in `$CREDENTIALS_DIRECTORY` (systemd.exec(5), LoadCredential=).
    case credential(String)

    /// The ends of the keys: `password_file` and so on.
    enum Kind: String, Sendable, CaseIterable {
        case file, command, env, credential

        var expected: String {
            switch self {
            case .file: "an absolute path in quotes"
            case .command: "a list of a program and its arguments, or a text for the shell"
            case .env: "the name of an environment variable"
            case .credential: "the name of a systemd credential"
            }
        }
    }

    /// - Parameter words: one text, or the elements of a list, which only a command can be.
    /// - Returns: nil when it is not of this kind.
    init?(_ kind: Kind, _ words: [String], isShellText: Bool) {
        guard let first = words.first, !first.isEmpty, words.allSatisfy({ !$0.utf8.contains(0) }) else { return nil }
        switch kind {
        case .command: self = .command(words, isShell: isShellText)
        case _ where !isShellText: return nil
        case .file:
            guard first.hasPrefix("/") else { return nil }
            self = .file(path: first)
        case .env:
            guard first.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "=") }) else { return nil }
            self = .variable(first)
        case .credential:
            guard (try? Name(first)) != nil else { return nil }
            self = .credential(first)
        }
    }

    /// For a person; never the arguments of a command, which may be secret themselves.
    var place: String {
        switch self {
        case .file(let path): displayed(path.utf8)
        case .command(let words, isShell: false): "the command \(displayed((words.first ?? "").utf8))"
        case .command: "a shell command"
        case .variable(let name): "$\(displayed(name.utf8))"
        case .credential(let name): "the systemd credential \(displayed(name.utf8))"
        }
    }
}
