internal import ArgumentParser
internal import FXMapping
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// `fxmount file put SOURCE ENTITY TYPE [PATH]`
struct FilePutCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "put", abstract: "Writes a file into a type, whole or not at all.",
        discussion: """
            Missing directories are made. A file of that name is kept as a version where the policy allows replacing, and is an error
            (exit 13) elsewhere.
            """)
    @Argument(help: "A file, or - for stdin, which needs PATH.", completion: .file()) var source: String
    @OptionGroup var alias: AliasArguments
    @Argument(help: "Where to; the name of SOURCE at the root of the type without it.") var path: String?
    @Flag(help: "If the type has no directory, ask for one.") var createType = false
    @Option(
        help: ArgumentHelp("How long to wait for that answer, in seconds or as 2m (5m).", valueName: "time"))
    var timeout: String?
    @Flag(help: "Tell the desktop when it is done.") var notify = false
    @OptionGroup var progress: ProgressOption
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func patience(_ context: CommandContext) throws(CommandFailure) -> Duration? {
        try context.duration(timeout, option: "--timeout")
    }

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        if source == "-", path == nil { throw CommandFailure(.usage, "stdin has no name: give PATH") }
        let own = source.split(separator: "/").last.map(String.init) ?? source
        let file = try alias.file(path ?? own)
        let missing: FileExchange.MissingType = createType ? .created : .refused
        let source = source == "-" ? nil : context.absolute(source)
        let exchange = desk.exchange
        try exchange.checkDownload(to: file, missing)
        let notify = notify
        let entry = try desk.showing(progress, context) {
            let content = try exchange.beginDownload(near: file.type)
            try FilePutCommand.fill(content, from: source)
            return try exchange.download(content, to: file, missing, notify ? .told : .silent)
        }
        context.printer.document(entry.json)
        context.printer.confirm("\(displayed(entry.path.utf8)): \(entry.size)")
    }

    private static func fill(_ content: Download, from source: String?) throws {
        guard let source else { return try pour(STDIN_FILENO, into: content, "stdin") }
        let file: OwnedDescriptor
        do throws(Errno) { file = try OwnedDescriptor.open(absolute: source, .readOnly) } catch {
            throw CommandFailure(error, "cannot read", path: source, status: .failure)
        }
        let status = try file.status()
        if status.isDirectory { throw CommandFailure(.isDirectory, "cannot read", path: source, status: .failure) }
        // Anything else gives its bytes in order only.
        if status.isRegular { try content.fill(from: file) } else { try pour(file.rawValue, into: content, source) }
    }

    private static func pour(_ descriptor: Int32, into content: Download, _ name: String) throws {
        // What a pipe holds at most by default, times sixteen.
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return }
            if count < 0 {
                let reason = Errno(rawValue: errno)
                if reason == .interrupted { continue }
                throw CommandFailure(reason, "cannot read", path: name, status: .failure)
            }
            try content.write(Array(buffer.prefix(count)))
        }
    }
}

/// `fxmount file get ENTITY TYPE PATH [DEST]`
struct FileGetCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Reads a file of a type into a new file, whole or not at all.",
        discussion:
            "DEST is a file that is not there yet, a directory, or - for stdout; without it, the file's name here.")
    @OptionGroup var alias: AliasArguments
    @Argument var path: String
    @Argument(completion: .file()) var destination: String?
    @Flag(help: "Tell the desktop when it is done.") var notify = false
    @OptionGroup var progress: ProgressOption
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let file = try alias.file(path)
        if destination == "-", context.printer.isJSON {
            throw CommandFailure(.usage, "stdout can carry the file or JSON, not both")
        }
        let upload = try desk.exchange.upload(file, notify ? .told : .silent)
        if destination == "-" { return try write(upload, context) }
        let target = context.absolute(destination ?? ".")
        let path = try desk.showing(progress, context) { try FileGetCommand.copy(upload, to: target) }
        context.printer.document(["file": upload.entry.json, "destination": .string(path)])
        context.printer.confirm("\(displayed(path.utf8)): \(upload.size)")
    }

    private func write(_ upload: Upload, _ context: CommandContext) throws {
        var offset = ByteCount.zero
        while offset < upload.size {
            let part = try upload.read(1 << 20, at: offset)
            if !context.printer.write(part) { throw CommandFailure(.brokenPipe, "cannot write to", path: "stdout") }
            offset = offset + ByteCount(UInt64(part.count))
        }
        upload.finish()
    }

    /// The path of the new file.
    private static func copy(_ upload: Upload, to target: String) throws -> String {
        var parts = target.split(separator: "/").map(String.init)
        if let directory = try? OwnedDescriptor.open(absolute: target, [.pathOnly, .directory]) {
            _ = consume directory
            parts.append(upload.entry.name)
        }
        let path = "/" + parts.joined(separator: "/")
        guard let last = parts.popLast(), let name = try? Name(last) else {
            throw CommandFailure(.usage, "\(displayed(target.utf8)) is not a file", path: target)
        }
        do throws(Errno) {
            let directory = try OwnedDescriptor.open(
                absolute: "/" + parts.joined(separator: "/"), [.readOnly, .directory])
            if (try? directory.status(of: name)) != nil { throw Errno.fileExists }
            let file = try UnnamedFile(inOwnDirectory: "/" + parts.joined(separator: "/"))
            let size = try file.descriptor.copyContent(from: upload.descriptor, onProgress: { upload.advance(to: $0) })
            // It has become shorter since it was opened: no file is better than half of one.
            if size != upload.size { throw Errno.staleNFSFileHandle }
            try file.descriptor.setPermissions(0o666 & ~Caller.ownProcess.umask)
            try file.publish(as: name, inOwn: directory)
        } catch {
            throw CommandFailure(error, "cannot write", path: path, status: error == .fileExists ? .failure : nil)
        }
        upload.finish()
        return path
    }
}
