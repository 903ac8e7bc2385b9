internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Takes a secret from where the configuration says it is. What goes wrong is told without a byte of it.
struct SecretReader: Sendable {
    var environment: [String: String]
    /// A person may have to answer a command such as `pass`, but a mount must come up.
    var commandTimeout = Duration.seconds(30)

    /// No password or token is longer; a whole disk named by mistake is.
    static let maximumLength = 64 << 10

    /// - Throws: exit 10 for a source that is not safe to use, exit 12 for one that gives nothing.
    func read(_ source: SecretSource) throws(CommandFailure) -> Secret {
        let bytes: [UInt8]
        switch source {
        case .file(let path): bytes = try read(path, hiddenFrom: 0o077)
        case .credential(let name): bytes = try credential(name)
        case .variable(let name):
            guard let value = environment[name] else {
                throw CommandFailure(
                    .credentials,
                    "the environment variable \(displayed(name.utf8)), which should hold a secret, is not set",
                    hint: "set it for the process that mounts")
            }
            bytes = Array(value.utf8)
        case .command(let words, let isShell): bytes = try output(of: words, isShell: isShell, source)
        }
        return try SecretReader.secret(bytes, from: source)
    }

    /// One trailing newline belongs to the file and not to the secret.
    private static func secret(_ bytes: [UInt8], from source: SecretSource) throws(CommandFailure) -> Secret {
        var bytes = bytes[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        if bytes.isEmpty {
            throw CommandFailure(.credentials, "the secret from \(source.place) is empty", hint: "put it there")
        }
        if bytes.count > maximumLength {
            throw CommandFailure(
                .configuration,
                "what \(source.place) holds is longer than \(ByteCount(UInt64(maximumLength))): no secret")
        }
        guard let text = String(validating: bytes, as: UTF8.self), SettingKind.isOneLine(text) else {
            throw CommandFailure(
                .configuration, "the secret from \(source.place) is not one line of UTF-8 text",
                hint: "only the secret may stand there, nothing before or after it")
        }
        return Secret(text)
    }

    // MARK: - Files

    /// - Parameter forbidden: mode bits that would let others read it.
    private func read(_ path: String, hiddenFrom forbidden: UInt32) throws(CommandFailure) -> [UInt8] {
        let what = "the secret file \(displayed(path.utf8))"
        let file: OwnedDescriptor
        do throws(Errno) {
            // Not blocking, so that a FIFO put there holds up nothing.
            file = try OwnedDescriptor.open(absolute: path, [.readOnly, .noFollow, .nonBlocking])
        } catch {
            if error == .tooManySymbolicLinkLevels {
                throw CommandFailure(
                    .configuration, "\(what) is a symbolic link", hint: "name the file itself", path: path, errno: error
                )
            }
            throw CommandFailure(
                .credentials, "cannot open \(what): \(error.sentence)",
                hint: "put the secret into it, for its owner only: chmod 600 \(displayed(path.utf8))", path: path,
                errno: error)
        }
        let status: FileStatus
        let bytes: [UInt8]
        do throws(Errno) {
            status = try file.status()
            bytes = status.isRegular ? try file.read(SecretReader.maximumLength + 3, at: 0) : []
        } catch {
            throw CommandFailure(
                .credentials, "cannot read \(what): \(error.sentence)", path: path, errno: error)
        }
        if let reason = SecretReader.objection(to: status, hiddenFrom: forbidden, user: geteuid()) {
            throw CommandFailure(
                .configuration, "\(what) \(reason.sentence)", hint: reason.hint(displayed(path.utf8)), path: path)
        }
        return bytes
    }

    /// Why a file is not safe to take a secret from.
    enum Objection: Equatable {
        case notRegular, stranger(UInt32), open(UInt32)

        var sentence: String {
            switch self {
            case .notRegular: "is not a regular file"
            case .stranger(let owner): "belongs to user \(owner), who is neither you nor root"
            case .open(let mode): "can be read by others (mode \(String(mode, radix: 8)))"
            }
        }

        func hint(_ path: String) -> String? {
            switch self {
            case .notRegular: nil
            case .stranger: "chown it to the user that mounts"
            case .open: "chmod 600 \(path)"
            }
        }
    }

    static func objection(to status: FileStatus, hiddenFrom forbidden: UInt32, user: UInt32) -> Objection? {
        if !status.isRegular { return .notRegular }
        if status.owner != user, status.owner != 0 { return .stranger(status.owner) }
        if status.permissions & forbidden != 0 { return .open(status.permissions & 0o7777) }
        return nil
    }

    /// systemd makes the directory for the service alone; it shows the right of a service's user, given by an ACL, in
    /// the group bits.
    private func credential(_ name: String) throws(CommandFailure) -> [UInt8] {
        guard let directory = environment["CREDENTIALS_DIRECTORY"], directory.hasPrefix("/") else {
            throw CommandFailure(
                .credentials,
                "there is no systemd credential \(displayed(name.utf8)): CREDENTIALS_DIRECTORY is not set",
                hint: "start the mount by a systemd service with LoadCredential=\(displayed(name.utf8)):/path")
        }
        return try read("\(directory)/\(name)", hiddenFrom: 0o007)
    }

    // MARK: - Commands

    private func output(of words: [String], isShell: Bool, _ source: SecretSource) throws(CommandFailure) -> [UInt8] {
        var environment = environment
        // Not ours to pass on: it names a descriptor the program does not have.
        environment[DaemonStart.variable] = nil
        let child: ChildProcess
        do throws(Errno) {
            child = try ChildProcess(
                ChildRequest(
                    executable: isShell ? "/bin/sh" : words[0],
                    arguments: isShell ? ["-c"] + words : Array(words.dropFirst()), environment: environment))
        } catch {
            throw CommandFailure(
                .credentials, "\(source.place), which should print a secret, cannot be started: \(error.sentence)",
                errno: error)
        }
        guard
            let bytes = child.readReport(until: .after(commandTimeout), limit: SecretReader.maximumLength + 3)
        else {
            child.abandon()
            throw CommandFailure(
                .credentials,
                "\(source.place), which should print a secret, did not end within \(commandTimeout.written)")
        }
        let code = child.waitForExit()
        if code != 0 {
            throw CommandFailure(
                .credentials, "\(source.place), which should print a secret, ended with code \(code)",
                hint: "run it by hand to see why")
        }
        return bytes
    }
}
