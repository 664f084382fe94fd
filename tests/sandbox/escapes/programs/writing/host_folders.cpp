// tries: to create a file in a folder of the host: makes the folder first, so that a path missing in the sandbox exists
// escape: the file appears on the host
// control: outside
#include <fcntl.h>
#include <string>
#include <sys/stat.h>

#include "attack.hpp"

int main() {
    std::string folder = FOLDER;
    for (size_t at = 1; at != std::string::npos; at = folder.find('/', at + 1))
        mkdir(folder.substr(0, at).c_str(), 0777);
    mkdir(folder.c_str(), 0777);
    std::string path = folder + "/made_by_a_program";
    int file = open(path.c_str(), O_CREAT | O_WRONLY, 0666);
    std::printf("TRIED %s: %s\n", path.c_str(), file < 0 ? std::strerror(errno) : "written, somewhere");
}
