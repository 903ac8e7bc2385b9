internal import FXMapping
internal import FXSystem

/// The operations whose request is JSON: decoded, carried out by one call of FXMapping, answered. Blocks.
struct JSONOperations: Sendable {
    let exchange: FileExchange
    let fields: Fields
    let uploadLimit: ByteCount

    /// - Throws: `Refusal` or `ExchangeError`.
    func perform(_ operation: Operation) throws -> Reply {
        operation == .upload ? try upload() : .success(try data(of: operation))
    }

    /// The file as it is, without an envelope.
    private func upload() throws -> Reply {
        let completion: FileExchange.Completion = try fields.flag(.notifyOnCompletion) ?? false ? .told : .silent
        let upload = try exchange.upload(try fields.file(in: try fields.type()), limit: uploadLimit, completion)
        var reply = Reply(status: 200, contentType: "application/octet-stream", body: .file(upload))
        // A browser that is led here must not show it as a page of this server.
        reply.fields = [
            ("Content-Disposition", "attachment"), ("Content-Security-Policy", "default-src 'none'; sandbox"),
        ]
        return reply
    }

    private func data(of operation: Operation) throws -> JSONValue {
        switch operation {
        case .createType:
            let wish = try self.wish()
            return try exchange.createType(
                try fields.type(), initPath: try fields.localPath(.initPath), wish,
                timeout: try fields.seconds(.timeout)
            ).json
        case .createTypeDirs:
            let (type, wish) = (try fields.type(), try self.wish())
            guard let path = try fields.texts(.relPath) else { throw ExchangeError.parameter(.relPath, .missing) }
            return try exchange.createTypeDirs(
                type, try FolderPath(path), wish, timeout: try fields.seconds(.timeout)
            ).json
        case .updateType:
            return try exchange.updateType(try fields.type(), timeout: try fields.seconds(.timeout)).json
        case .deleteType:
            try exchange.deleteType(try fields.type())
            return true
        case .existsType: return .bool(try exchange.existsType(try fields.type()))
        case .listType: return try exchange.listType(try fields.type()).json
        case .listTypes:
            let entity = try fields.text(.entity).map { try TypeAddress.entity($0) }
            return try exchange.listTypes(of: entity, try fields.page()).json
        case .listTypeContent:
            return try exchange.listTypeContent(try fields.type(), try fields.folder(), try fields.page()).json
        case .listContent:
            return try exchange.listContent(of: try TypeAddress.entity(try fields.text(.entity)), try fields.page())
                .json
        case .existsFile:
            return .bool(try exchange.existsFile(try FileAddress(try fields.type(), path: try fields.texts(.relPath))))
        case .getAccessMode: return .string(try accessMode().text)
        case .getFileInfo: return try exchange.getFileInfo(try fields.file(in: try fields.type())).json
        case .createDir, .copyFile, .moveFile, .renameFile: return try change(operation)
        case .download, .upload: throw Refusal(.failed, "not an operation of this kind")
        }
    }

    private func accessMode() throws -> AccessMode {
        let type = try fields.type()
        guard try fields.text(.fileName) != nil else {
            return try exchange.getAccessMode(type, try fields.folder())
        }
        return try exchange.getAccessMode(try fields.file(in: type))
    }

    private func wish() throws -> PromptWish { try fields.flag(.modal) ?? true ? .ask : .onlyIfNeeded }

    private func change(_ operation: Operation) throws -> JSONValue {
        switch operation {
        case .createDir:
            let directory = try FileAddress(try fields.type(), path: try fields.texts(.relPath))
            let making: FileExchange.Parents = try fields.flag(.recursive) ?? false ? .made : .required
            return try exchange.createDir(directory, making).json
        case .renameFile:
            let file = try fields.file(in: try fields.type())
            return try exchange.renameFile(file, to: try fields.text(.newFileName)).json
        default:
            let from = try FileAddress(
                try fields.type(.fromType), relPath: try fields.texts(.fromRelPath),
                fileName: try fields.text(.fileName),
                as: (.fromRelPath, .fileName))
            let (target, folder) = (try fields.type(.toType).type, try fields.folder(.toRelPath))
            if operation == .moveFile { return try exchange.moveFile(from, to: target, folder).json }
            guard let newName = try fields.text(.newFileName) else {
                throw ExchangeError.parameter(.newFileName, .missing)
            }
            return try exchange.copyFile(from, to: target, folder, as: newName).json
        }
    }
}
