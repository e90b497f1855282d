"""Puts the jars that Spark needs to read Iceberg tables into a folder: Iceberg's runtime, and the
libraries that it lacks.

The runtime of the package `snowpark-connect-deps-iceberg` refers to relocated libraries
(`org.apache.iceberg.shaded.…`) that the package leaves out: Jackson, which Spark has under its own name,
and, for REST catalogs, Apache's HTTP client. A class names the classes that it uses only by texts in its
constant pool, so a copy with other texts there is a relocated class.

Usage: collect_jars.py FOLDER JAR…, with the Python of the environment that has both packages, and the
jars of the HTTP client."""
import importlib.util, pathlib, shutil, sys, zipfile

PACKAGES = ('com/fasterxml/jackson', 'org/apache/hc')
SHADED = 'org/apache/iceberg/shaded/'
RUNTIME = 'iceberg-spark-runtime-3.5_2.12-*.jar'
# A type that the runtime names and does not call, and that Debian's version of the HTTP client lacks.
NAMED_ONLY = 'org/apache/hc/client5/http/ssl/TlsSocketStrategy'
JACKSON = ('jackson-annotations', 'jackson-core', 'jackson-databind')

# The bytes of a constant after its tag (Java Virtual Machine Specification, table 4.4-A). A text (1)
# has a length of its own, and a long (5) or a double (6) takes two places in the pool.
TEXT, LONG, DOUBLE = 1, 5, 6
BYTES = {3: 4, 4: 4, LONG: 8, DOUBLE: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4,
         18: 4, 19: 2, 20: 2}
POOL_AT = 10


def renamed(text):
    for package in PACKAGES:
        for separator in '/.':
            old, shaded = (name.replace('/', separator).encode() for name in (package, SHADED))
            text = text.replace(old, shaded + old)
    return text


def relocated(class_file):
    """A class file with other names in its constant pool."""
    constants = int.from_bytes(class_file[POOL_AT - 2:POOL_AT], 'big') - 1
    parts, at = [class_file[:POOL_AT]], POOL_AT
    while constants > 0:
        tag = class_file[at]
        if tag == TEXT:
            end = at + 3 + int.from_bytes(class_file[at + 1:at + 3], 'big')
            text = renamed(class_file[at + 3:end])
            parts.append(bytes([TEXT]) + len(text).to_bytes(2, 'big') + text)
        else:
            end = at + 1 + BYTES[tag]
            parts.append(class_file[at:end])
        constants -= 2 if tag in (LONG, DOUBLE) else 1
        at = end
    return b''.join(parts) + class_file[at:]


def empty_interface(name):
    """The class file of a public interface without members, for Java 8 and later."""
    def text(value):
        return bytes([TEXT]) + len(value).to_bytes(2, 'big') + value.encode()
    a_class, public_abstract_interface = b'\x07', b'\x06\x01'
    constants = [text(name), a_class + b'\0\1', text('java/lang/Object'), a_class + b'\0\3']
    header = b'\xca\xfe\xba\xbe' + b'\0\0' + b'\0\x34' + (len(constants) + 1).to_bytes(2, 'big')
    no_members = b'\0\0' * 4
    return header + b''.join(constants) + public_abstract_interface + b'\0\2' + b'\0\4' + no_members


def only(folder, pattern):
    found, = folder.rglob(pattern)
    return found


def package_folder(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
runtime = only(package_folder('snowpark_connect_deps_iceberg'), RUNTIME)
shutil.copy(runtime, folder)
jars = package_folder('pyspark') / 'jars'
libraries = [only(jars, f'{name}-[0-9]*.jar') for name in JACKSON] + sys.argv[2:]
with zipfile.ZipFile(folder / 'relocated.jar', 'w', zipfile.ZIP_DEFLATED) as out:
    for library in libraries:
        with zipfile.ZipFile(library) as jar:
            # Not what is for newer versions of Java, below `META-INF/versions`.
            for entry in jar.namelist():
                if entry.startswith(PACKAGES) and not entry.endswith('/'):
                    content = jar.read(entry)
                    is_class = entry.endswith('.class')
                    out.writestr(SHADED + entry, relocated(content) if is_class else content)
    if f'{SHADED}{NAMED_ONLY}.class' not in out.namelist():
        out.writestr(f'{SHADED}{NAMED_ONLY}.class', empty_interface(SHADED + NAMED_ONLY))
