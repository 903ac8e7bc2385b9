internal import FXMapping
internal import FXSystem

/// The 18 operations by their path.
enum Operation: String, Sendable, CaseIterable {
    case createType = "create-type"
    case createTypeDirs = "create-type-dirs"
    case updateType = "update-type"
    case deleteType = "delete-type"
    case existsType = "exist-type"
    case listTypes = "list-types"
    case listType = "list-type"
    case listTypeContent = "list-type-content"
    case listContent = "list-content"
    case existsFile = "exist-file"
    case getAccessMode = "get-access-mode"
    case getFileInfo = "get-file-info"
    case createDir = "create-dir"
    case copyFile = "copy-file"
    case moveFile = "move-file"
    case renameFile = "rename-file"
    case download, upload

    /// Before the name of an operation.
    static let base = "/v3/modules/fileexchange/apps/file/"

    init?(path: String) {
        guard path.hasPrefix(Operation.base) else { return nil }
        self.init(rawValue: String(path.dropFirst(Operation.base.count)))
    }

    /// True for those that may wait for the user.
    var mayPrompt: Bool {
        switch self {
        case .createType, .createTypeDirs, .updateType, .download: true
        default: false
        }
    }

    var parameters: [Parameter] {
        let entity = Parameter(.entity, .name, required: true)
        let type = Parameter(.type, .name, required: true)
        let page = Parameter(.page, .page)
        let relPath = Parameter(.relPath, .path)
        let timeout = Parameter(.timeout, .seconds)
        let fileName = Parameter(.fileName, .fileName, required: true)
        switch self {
        case .createType: return [entity, type, Parameter(.modal, .flag), timeout, Parameter(.initPath, .localPath)]
        case .createTypeDirs:
            return [entity, type, Parameter(.relPath, .path, required: true), Parameter(.modal, .flag), timeout]
        case .updateType: return [entity, type, timeout]
        case .deleteType, .existsType, .listType: return [entity, type]
        case .listTypes: return [Parameter(.entity, .name), page]
        case .listTypeContent: return [entity, type, relPath, page]
        case .listContent: return [entity, page]
        case .existsFile: return [entity, type, Parameter(.relPath, .path, required: true)]
        case .getAccessMode: return [entity, type, Parameter(.fileName, .fileName), relPath]
        case .getFileInfo: return [entity, type, fileName, relPath]
        case .createDir:
            return [entity, type, Parameter(.relPath, .path, required: true), Parameter(.recursive, .flag)]
        case .copyFile:
            return [
                entity, Parameter(.fromType, .name, required: true), Parameter(.toType, .name, required: true),
                fileName,
                Parameter(.newFileName, .fileName, required: true), Parameter(.fromRelPath, .path),
                Parameter(.toRelPath, .path),
            ]
        case .moveFile:
            return [
                entity, Parameter(.fromType, .name, required: true), Parameter(.toType, .name, required: true),
                fileName,
                Parameter(.fromRelPath, .path), Parameter(.toRelPath, .path),
            ]
        case .renameFile:
            return [entity, type, fileName, Parameter(.newFileName, .fileName, required: true), relPath]
        case .upload: return [entity, type, fileName, relPath, Parameter(.notifyOnCompletion, .flag)]
        case .download:
            return [
                entity, type, fileName, Parameter(.file, .file, required: true), relPath,
                Parameter(.implicitCreationType, .flag), Parameter(.notifyOnCompletion, .flag),
            ]
        }
    }
}

/// A field of a request.
struct Parameter: Sendable {
    enum Kind: Sendable { case name, fileName, path, flag, seconds, page, localPath, file }

    var field: ExchangeParameter
    var kind: Kind
    var isRequired: Bool

    init(_ field: ExchangeParameter, _ kind: Kind, required: Bool = false) {
        self.field = field
        self.kind = kind
        isRequired = required
    }

    /// Spellings of the prose and of earlier clients, which are understood as well.
    static func aliases(of field: ExchangeParameter) -> [String] {
        switch field {
        case .fileName: ["filename"]
        case .newFileName: ["newfilename"]
        case .relPath: ["relpath"]
        case .fromRelPath: ["fromrelpath"]
        case .toRelPath: ["torelpath"]
        case .initPath: ["initabspath", "iniTabsPath", "initAbsPath"]
        case .modal: ["showModal"]
        case .timeout: ["timeoutInSeconds"]
        // The prose names it so for renameFile.
        case .type: ["fromType"]
        default: []
        }
    }
}
