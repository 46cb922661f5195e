"""Words that say nothing of an idea, per language: without them two proposals are not alike because both say "in the street, please"."""

from functools import cache

_WORDS = {
    "nl": "aan al als bij dan dat de deze die dit door een en er er ge geen had heb hebben heeft het hier hij hoe hun ik in is je kan "
    "kunnen laat maak maar me meer men met mijn moet moeten na naar niet nog nu of om omdat ons ook op over te tot u uit van veel voor "
    "waar wat we wel wij wil willen word worden wordt zal ze zich zijn zo zodat zou",
    "en": "a all also an and any are as at be because been but by can could do does for from had has have he her here his how i if in into "
    "is it its just like make me more most much my need needs no not now of on only or our out over please put she should so some than "
    "that the their them there these they this those to too up us very want was we were what when where which who will with would you your",
    "es": "a al algo como con cuando de del desde donde el ella ellas ellos en entre era es esta estan este esto estos fue ha hacer hagan "
    "han hay la las le les lo los mas me mi mucho muy nada ni no nos nuestra nuestro o para pero poco por porque pongan que quien se ser "
    "si sin sobre son su sus tambien tiene toda todas todo todos tras un una unas uno unos y ya",
    "ca": "a al als amb aquest aquesta aquestes aquests cada com d de del dels des el ella elles ells els en entre era es esta estan "
    "feu ha hi hi ho i l la les li lo m me mes mig molt n na ni no nosaltres o on per pero poc posa poseu perque qual quan que qui s se "
    "sense ser seu seva si sobre son sota t tambe te ten tot tota totes tots un una unes uns us va",
    "de": "aber alle allem allen aller alles als also am an auch auf aus bei bin bis bitte da damit dann das dass dem den der des die dies "
    "diese dieser dieses doch dort du durch ein eine einem einen einer eines er es fur gegen gibt hat haben hier ich ihr im in ist ja "
    "jede jeder jedes kann kein keine konnen macht man mehr mit muss nach nicht noch nur ob oder ohne sehr sein sich sie sind so soll "
    "und uns unser unter vom von vor war was weil wenn wer werden wie wir wird wo zu zum zur zwischen",
    "is": "a ad af allir allt alla annars auk badum bara ef eftir eiga ekki eg ein eins einn eitt en er eru enn fra fyrir gera geta getur "
    "gerid ha hafa hafid hann hefur her hja hun hvad hvar hver hverri i inn ma med meira mig mikid milli minn mjog na ne og okkar onnur "
    "sa se sem ser setjid sig sin sinn so svo til um undir upp ur vantar var vera verda verid vid vilja yfir tad tar tarf tau teir tess "
    "thad thar thau their þad þar þarf þau þeir þess þessi þetta því þvi",
}


@cache
def stop_words(language: str) -> frozenset[str]:
    """Folded; of a language that has no list, those of all: a word that says nothing in one of them seldom says much in another."""
    if language in _WORDS:
        return frozenset(_WORDS[language].split())
    return frozenset(word for words in _WORDS.values() for word in words.split())


def guessed(words: list[str]) -> str | None:
    """The language of folded words by those that say nothing: at least two, and more than of any other. None: it cannot be told."""
    counts = sorted(((sum(word in stop_words(code) for word in words), code) for code in _WORDS), reverse=True)
    (most, language), (next_most, _) = counts[0], counts[1]
    return language if most >= 2 and most > next_most else None
